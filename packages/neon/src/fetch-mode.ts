/** `neonConfig.poolQueryViaFetch`: statements of a pool that go by HTTP. */

import { neonConfig, type Pool } from '@neondatabase/serverless'
import type { ThawOptions } from '@thaw/pool'
import { type HttpQueryOptions, neon } from './neon.ts'

/** What is read of a pool. */
export interface FetchingPool {
  readonly options: object
  readonly hasFetchUnsupportedListeners: Pool['hasFetchUnsupportedListeners']
  readonly Client: new (options: object) => Target
}

interface Target {
  readonly user: string
  readonly password: unknown
  readonly host: string
  readonly database: string
}

interface Config extends HttpQueryOptions {
  readonly text: string
  readonly values?: unknown[]
  readonly rowMode?: string
  readonly types?: unknown
}

/** By Neon's own rule: switched on, and nobody has a listener that would never be called. */
export function isFetched({ hasFetchUnsupportedListeners }: FetchingPool, text: unknown): boolean {
  return neonConfig.poolQueryViaFetch && !hasFetchUnsupportedListeners && typeof text !== 'function'
}

export function queryByFetch({ options, Client }: FetchingPool, query: string | Config, values: unknown[] | undefined): Promise<unknown> {
  const config: Config = typeof query === 'string' ? { text: query } : query
  const { types, clock, connectionTimeoutMillis, query_timeout } = options as ThawOptions & Record<string, unknown>
  // A client that is never connected knows where the pool's options lead, those of the environment included.
  const { user, password, host, database } = new Client(options)
  const login = typeof password === 'string' ? `${encodeURIComponent(user)}:${encodeURIComponent(password)}` : encodeURIComponent(user)
  const shared = { clock, connectionTimeoutMillis: connectionTimeoutMillis as number, query_timeout: query_timeout as number }
  const sql = neon(`postgresql://${login}@${host}/${encodeURI(database)}`, {
    ...shared,
    ...(typeof password === 'function' && { password: password as () => string }),
    fullResults: true,
    arrayMode: config.rowMode === 'array',
  })
  const { idempotent, signal } = config
  const own = { idempotent, signal, ...(config.query_timeout !== undefined && { query_timeout: config.query_timeout }) }
  return sql.query(config.text, values ?? config.values ?? [], { types: (config.types ?? types) as never, ...own })
}
