/**
 * What `@thaw/pg` is on the Edge runtime, which has no TCP: the same names, and an error on first use that says so. Loading it never
 * throws: a module with a pool may be part of something that never uses it. Chosen by the condition `edge-light` of package.json, unless
 * `node` or `workerd` is set too: `pg` itself cannot be bundled for a runtime without `node:net`.
 */

import { OptionError } from '@thaw/core'

export * from '@thaw/pool/names'

function noTcp(): OptionError {
  return new OptionError({
    option: 'runtime',
    allowed: 'Node.js',
    message:
      '@thaw/pg needs TCP, which the Edge runtime does not have. Use the Pool of "@thaw/neon" there, or run this function on Node.js: remove `runtime: "edge"`.',
  })
}

function refuse(): never {
  throw noTcp()
}

type Callback = (error: Error) => void

/** As pg reports failures: through the callback, or through a promise. */
function reject(...args: readonly unknown[]): Promise<never> | undefined {
  const callback = args.find((value): value is Callback => typeof value === 'function')
  if (!callback) return Promise.reject(noTcp())
  queueMicrotask(() => callback(noTcp()))
  return undefined
}

/** Can be created, listened to and ended. */
class Unreachable {
  readonly options: unknown

  constructor(options?: unknown) {
    this.options = options
  }

  connect(...args: unknown[]): unknown {
    return reject(...args)
  }

  query(...args: unknown[]): unknown {
    return reject(...args)
  }

  transaction(): Promise<never> {
    return Promise.reject(noTcp())
  }

  batch(): Promise<never> {
    return Promise.reject(noTcp())
  }

  outcome(): Promise<never> {
    return Promise.reject(noTcp())
  }

  createIdempotencyTable(): Promise<never> {
    return Promise.reject(noTcp())
  }

  end(...args: unknown[]): Promise<void> | undefined {
    const callback = args.find((value): value is () => void => typeof value === 'function')
    if (!callback) return Promise.resolve()
    queueMicrotask(() => callback())
    return undefined
  }

  on(): this {
    return this
  }

  once(): this {
    return this
  }

  off(): this {
    return this
  }

  addListener(): this {
    return this
  }

  removeListener(): this {
    return this
  }

  removeAllListeners(): this {
    return this
  }

  subscribe(): () => void {
    return () => {}
  }

  stats(): never {
    return refuse()
  }
}

/** Useful only with a connection. */
class Refused {
  constructor() {
    refuse()
  }
}

export class Pool extends Unreachable {
  static override get name(): string {
    return 'Pool'
  }
}

export class Client extends Unreachable {
  static override get name(): string {
    return 'Client'
  }
}

export class Connection extends Refused {}
export class DatabaseError extends Error {}
export class Query extends Refused {}
export class Result extends Refused {}
export class TypeOverrides extends Refused {}
export const defaults: object = {}
export const escapeIdentifier: () => never = refuse
export const escapeLiteral: () => never = refuse
export const types: object = new Proxy({}, { get: (_, name) => (typeof name === 'string' && name !== 'then' ? refuse : undefined) })
/** Both are objects of functions. */
export const utils: object = types
export const native: never = new Proxy({}, { get: refuse }) as never
const thawPg: object = {
  Client,
  Connection,
  DatabaseError,
  defaults,
  escapeIdentifier,
  escapeLiteral,
  Pool,
  Query,
  Result,
  TypeOverrides,
  types,
  utils,
}
export default thawPg
