/** pg.Pool with one fault each: what a property does not find here it would not find in ours. */

import pg from 'pg'
import type { WorldConfig } from './scripted-world.ts'

const SYNC = Uint8Array.of(0x53, 0, 0, 0, 4)
/** When the fault asks after a statement, in milliseconds. */
const ASKS_AFTER_MILLIS = 2000

interface PoolInside {
  readonly _idle: readonly { readonly client: ClientInside }[]
  readonly _clients: readonly ClientInside[]
  _release(...values: unknown[]): void
}

interface ClientInside {
  readonly readyForQuery: boolean
  readonly processID: number
  readonly connection: { readonly stream: { write(bytes: Uint8Array): void; destroy(error: Error): void } }
}

type Connect = (callback: (...values: unknown[]) => void) => unknown

export const plain = (config: object): pg.Pool => new pg.Pool(config).on('error', () => {})

const inside = (pool: pg.Pool) => pool as unknown as PoolInside

/** Thaw's first critical fault: what is idle for the pool is asked, though a statement runs on it; and whichever ReadyForQuery comes next is taken for the answer. */
export function probesBusy(config: WorldConfig): pg.Pool {
  const pool = plain(config)
  const connect = pool.connect.bind(pool) as Connect
  pool.connect = ((callback: never) => {
    const newest = inside(pool)._idle.at(-1)?.client
    if (newest?.readyForQuery === false) newest.connection.stream.write(SYNC)
    return connect(callback)
  }) as typeof pool.connect
  return pool
}

/** Thaw's second: a statement takes long, and a server that is another one does not know of it. */
export function asksStranger(config: WorldConfig): pg.Pool {
  const pool = plain(config)
  const since = new Map<ClientInside, number>()
  // More than one at a time would be another fault.
  let isAsking = false
  const look = () => {
    for (const client of inside(pool)._clients) {
      if (client.readyForQuery) since.delete(client)
      else if (!since.has(client)) since.set(client, config.clock.mono())
      else if (config.clock.mono() - (since.get(client) ?? 0) >= ASKS_AFTER_MILLIS && !isAsking) void askAfter(client)
    }
    if (!pool.ended) config.clock.setTimer(look, ASKS_AFTER_MILLIS / 2)
  }
  const askAfter = async (client: ClientInside) => {
    isAsking = true
    const asker = new pg.Client(config as object)
    asker.on('error', () => {})
    await asker.connect()
    const { rows } = await asker.query('select 0 as asker, busy from pg_stat_activity where pid = $1', [client.processID])
    if (rows[0]?.busy === false) client.connection.stream.destroy(new Error('fell silent'))
    await asker.end()
    since.delete(client)
    isAsking = false
  }
  look()
  return pool
}

/** A client that is given back while a statement runs on it is forgotten. */
export function losesPlaces(config: WorldConfig): pg.Pool {
  const pool = plain(config)
  const { _release } = inside(pool)
  inside(pool)._release = (...values) => {
    if ((values[0] as ClientInside).readyForQuery !== false) _release.apply(pool, values)
  }
  return pool
}

/** A few above `max` may be hedges and questions; three times as many are a leak. */
export const dialsTooMany = (config: WorldConfig): pg.Pool => plain({ ...config, max: config.max * 3 + 1 })

/** No caller hears of a failure of its own. */
export function leavesUnhandled(config: WorldConfig): pg.Pool {
  return plain(config).on('release', () => void Promise.reject(new Error('of the pool itself')))
}

/** Sends what has succeeded once more. */
export function writesTwice(config: WorldConfig): pg.Pool {
  const pool = plain(config)
  const query = pool.query.bind(pool) as (config: unknown) => Promise<unknown>
  pool.query = ((text: unknown, callback?: unknown) => {
    if (callback) return (query as (...values: unknown[]) => unknown)(text, callback)
    return query(text).then(() => query(text))
  }) as typeof pool.query
  return pool
}
