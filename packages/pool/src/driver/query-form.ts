/** How `pool.query()` may be called: the parts that decide which way it goes. */

import type { PeerQuery } from './peer.ts'

export interface QueryForm {
  readonly text?: unknown
  readonly values?: unknown
  readonly name?: unknown
  readonly queryMode?: unknown
  readonly rows?: unknown
  readonly portal?: unknown
  readonly binary?: unknown
  readonly signal?: unknown
  readonly query_timeout?: unknown
}

/** A string, or a plain object: what has a class of its own may know more than its own properties tell. */
export function formOf(text: unknown, values: unknown): QueryForm | undefined {
  if (typeof text === 'string') return { text, ...(values !== undefined && { values }) }
  if (typeof text !== 'object' || text === null || Object.getPrototypeOf(text) !== Object.prototype) return undefined
  return { ...text, ...(values !== undefined && { values }) }
}

/** For what is read beside or behind the driver's own reading. Undefined also where a getter or a Proxy throws: who is at work then is not its caller. */
export function peekAt(config: unknown, name: string): unknown {
  try {
    return (config as Readonly<Record<string, unknown>> | null | undefined)?.[name]
  } catch {
    return undefined
  }
}

/** As far as it must be known when the driver has forgotten it. */
export function statementOf(text: unknown): PeerQuery {
  return { text: typeof text === 'string' ? text : peekAt(text, 'text'), handleError() {} }
}

/** The name under which its caller wants it prepared. */
export function nameOf(text: unknown): string | undefined {
  const name = typeof text === 'object' ? peekAt(text, 'name') : undefined
  return typeof name === 'string' && name !== '' ? name : undefined
}
