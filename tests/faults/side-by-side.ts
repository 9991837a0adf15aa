/** Plain `pg` and Thaw in this process, for faults that the matrix has no room for. What may end the process is in `crash.test.ts`. */

import { type PoolConfig, Pool as ThawPool } from '@thaw/pg'
import pg from 'pg'
import type { Driver } from './child.ts'

/** For plain pg long enough to call it hanging; for Thaw beyond each of its own limits. */
const CAP_MILLIS: Readonly<Record<Driver, number>> = { pg: 1_500, thaw: 30_000 }

/** A pool, with the listener that node-postgres tells its users to add. */
export function createPool(driver: Driver, config: PoolConfig): pg.Pool {
  const pool = driver === 'pg' ? new pg.Pool(config) : new ThawPool(config)
  pool.on('error', () => {})
  return pool
}

/** A client from the pool, with a listener too. */
export async function takeClient(pool: pg.Pool): Promise<pg.PoolClient> {
  const client = await pool.connect()
  client.on('error', () => {})
  return client
}

/** What became of a call: `ok`, `hangs`, or the code of its error, and where there is none its message. */
export async function outcome(driver: Driver, call: Promise<unknown>): Promise<string> {
  let timer: NodeJS.Timeout | undefined
  const cap = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('hangs'), CAP_MILLIS[driver])
  })
  const end = call.then(
    () => 'ok',
    (error: Error & { code?: string }) => error.code ?? error.message,
  )
  return Promise.race([end, cap]).finally(() => clearTimeout(timer))
}

/** Ends the pool, whatever became of it: with plain pg that takes force. */
export async function discard(pool: pg.Pool): Promise<void> {
  const clients = (pool as unknown as { _clients: { connection: { stream: { destroy(): void } } }[] })._clients
  for (const { connection } of clients) connection.stream.destroy()
  if (!pool.ending) await outcome('pg', pool.end())
}

/** Records what became of each connection attempt, between the pool and pg. Goes into the option `Client`. */
export function createDialLog(): { readonly Client: typeof pg.Client; readonly ended: string[] } {
  const ended: string[] = []
  class Client extends pg.Client {
    // Of pg's two signatures a pool uses the one with a callback.
    override connect(callback?: unknown): never {
      const note = (error: (Error & { code?: string }) | undefined) => {
        ended.push(error ? (error.code ?? error.message) : 'ok')
        ;(callback as (error: Error | undefined) => void)(error)
      }
      return super.connect(note) as never
    }
  }
  return { Client, ended }
}
