/** What can be observed, and its default name. */

import { OptionError, type ThawListener } from '@thaw/core'

/** A `Pool` of `@thaw/pg` or `@thaw/neon`. */
export interface ObservablePool {
  readonly options: object
  /** Calls the listener on each event. Returns the function that stops it. */
  subscribe(listener: ThawListener): () => void
  /** What is there now. */
  stats(): { readonly total: number; readonly idle: number; readonly waiting: number }
}

interface Target {
  readonly connectionString?: unknown
  readonly host?: unknown
  readonly port?: unknown
  readonly database?: unknown
}

/** `host:port/database`, as far as the options say. No user, no password. */
export function nameOf(options: object): string {
  const { connectionString, ...parts } = options as Target
  const { host, port, database } = { ...parts, ...targetOf(connectionString) }
  const place = [host, port].filter(isGiven).join(':')
  return [place, database].filter(isGiven).join('/') || 'postgresql'
}

function targetOf(connectionString: unknown): Target {
  // Other forms than URLs (a socket's path, `host=… dbname=…`) say nothing that can be read without pg.
  if (typeof connectionString !== 'string' || !URL.canParse(connectionString)) return {}
  const { hostname, port, pathname } = new URL(connectionString)
  return { host: hostname, ...(port && { port }), ...(pathname.length > 1 && { database: decoded(pathname.slice(1)) }) }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== ''
}

/** @throws {OptionError} if it is not a Thaw pool. */
export function checkPool(pool: Partial<ObservablePool> | null | undefined): void {
  if (typeof pool?.subscribe === 'function' && typeof pool.stats === 'function') return
  const isForeign = typeof (pool as { connect?: unknown } | null | undefined)?.connect === 'function'
  throw new OptionError({
    option: 'pool',
    allowed: 'a Pool of @thaw/pg or @thaw/neon',
    message: isForeign
      ? 'observe() received the pool of another package. Import { Pool } from "@thaw/pg", or from "@thaw/neon".'
      : `observe() received ${pool === null ? 'null' : `a value of type ${typeof pool}`} instead of a pool. Pass it a pool made by new Pool() of "@thaw/pg" or "@thaw/neon".`,
  })
}
