/** One PostgreSQL for the libraries, emptied for each test, and what stands behind them. */

import type { ThawOptions } from '@thaw/pg'
import * as thaw from '@thaw/pg'
import pg from 'pg'
import { afterEach, beforeEach } from 'vitest'
import { proxy, server, useFreshProxy } from '../faults/fresh-proxy.ts'
import { until } from '../faults/until.ts'
import type { Behind, Library } from './libraries.ts'

export interface LibrarySetting {
  /** The pools that the test has made. */
  readonly pools: readonly pg.Pool[]
  /** What nothing has caught. */
  readonly uncaught: readonly unknown[]
  behind(name: 'pg' | 'Thaw', options?: pg.PoolConfig & ThawOptions): Behind
  /** How many things the library has written. */
  written(library: Library): Promise<number | undefined>
  allClosed(): Promise<void>
}

export const APP = 'libraries'

/** To be called at the top of a test file. */
export function useLibraries(): LibrarySetting {
  useFreshProxy()
  let pools: pg.Pool[]
  let uncaught: unknown[]
  const catchIt = (error: unknown) => void uncaught.push(error)
  beforeEach(async () => {
    pools = []
    uncaught = []
    process.on('uncaughtException', catchIt)
    for (const schema of ['public', 'pgboss', 'graphile_worker']) await server.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
    await server.query('CREATE SCHEMA public')
    await server.query('CREATE TABLE notes (id serial PRIMARY KEY, text text)')
  })
  afterEach(async () => {
    process.off('uncaughtException', catchIt)
    await Promise.all(pools.map((pool) => (pool.ended || pool.ending ? undefined : pool.end())))
  })
  return {
    get pools() {
      return pools
    },
    get uncaught() {
      return uncaught
    },
    behind(name, options = {}) {
      const config: pg.PoolConfig = { connectionString: proxy.urlFor(server.url), max: 2, application_name: APP }
      if (name === 'Thaw') Object.assign(config, { trustMillis: 0, ...options })
      const module: Behind['module'] = name === 'pg' ? pg : thaw
      class Pool extends module.Pool {
        constructor(options?: pg.PoolConfig) {
          super(options)
          pools.push(this)
        }
      }
      return { module: { ...module, Pool }, config, pool: () => new Pool(config) }
    },
    async written({ count }) {
      return (await server.query<{ count: number }>(count)).rows[0]?.count
    },
    allClosed: () => until('every connection is closed', () => proxy.flows.every(({ state }) => state === 'closed')),
  }
}
