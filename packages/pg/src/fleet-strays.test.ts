/**
 * A statement on a client that was released, while the pool's probe of that connection is on its way: a mistake that plain pg serves, and a pool without a fleet. A member puts statements of
 * its own between the two. Each reply goes to what it answers, in the order of sending.
 */

import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import stock, { type QueryResult } from 'pg'
import Cursor from 'pg-cursor'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Pool, type PoolConfig } from './index.ts'

const PATIENT = 60_000

let server: PostgresServer
const proxies: FaultProxy[] = []

beforeAll(async () => {
  server = await startPostgres({ settings: { max_connections: 60 } })
  await server.query('create table strays (v text)')
})
afterAll(async () => {
  await Promise.all(proxies.map((proxy) => proxy.close()))
  await server.close()
})

type Any = Pick<Pool, 'query' | 'connect' | 'end'>
type Stray = (client: stock.PoolClient, mark: string) => Promise<unknown>

const rows = async (result: Promise<QueryResult>) => (await result).rows
const STRAYS: [string, Stray, expected: (mark: string) => unknown, stored: number][] = [
  ['a read', (client, mark) => rows(client.query('select $1::text as v', [mark])), (v) => [{ v }], 0],
  ['a write', (client, mark) => rows(client.query('insert into strays values ($1)', [mark])), () => [], 1],
  ['a write with rows', (client, mark) => rows(client.query(`insert into strays values ('${mark}') returning v`)), (v) => [{ v }], 1],
  ['a statement that fails', (client) => client.query('select 1/0').catch((error) => error.code), () => '22012', 0],
  ['an empty one', (client) => rows(client.query('')), () => [], 0],
  ['a cursor', (client, mark) => client.query(new Cursor('select $1::text as v', [mark])).read(5), (v) => [{ v }], 0],
  [
    'two writes',
    (client, mark) => {
      const insert = () => rows(client.query('insert into strays values ($1) returning v', [mark]))
      return Promise.all([insert(), insert()])
    },
    (v) => [[{ v }], [{ v }]],
    2,
  ],
]
const POOLS: [string, PoolConfig | undefined, roundTrip: number][] = [
  ['plain pg', undefined, 600],
  ['a pool without a fleet', {}, 600],
  ['a member', { fleet: 'strays' }, 600],
  ['a member with a shorter trust', { fleet: 'strays', trustMillis: 100 }, 300],
  ['a member that lasts', { fleet: { name: 'strays', keep: 0 } }, 600],
]

async function strayed(config: PoolConfig | undefined, roundTrip: number, stray: Stray, mark: string) {
  const proxy = await startFaultProxy(server)
  proxies.push(proxy)
  const options = { connectionString: proxy.urlFor(server.url), max: 1, idleTimeoutMillis: 0 }
  const pool: Any = config ? new Pool({ ...options, ...config }) : (new stock.Pool(options) as unknown as Any)
  await pool.query('select 1')
  await pool.query('select 1')
  const client = await pool.connect()
  client.release()
  await pool.query('select 1')
  proxy.setDelay({ toServerMillis: roundTrip / 2, toClientMillis: roundTrip / 2 })
  // Its reply took longer than an answer may: what comes next is probed first.
  await pool.query('select 0')
  const write = rows(pool.query("select pg_catalog.set_config('a.b', $1, true) as v", [mark]))
  await new Promise((resolve) => setTimeout(resolve, 20))
  const answer = await stray(client, mark)
  const others = [await write, await rows(pool.query('select $1::text as v', [mark]))]
  proxy.setDelay({})
  await pool.end()
  const { rowCount } = await server.query('select from strays where v = $1', [mark])
  return { answer, others, rowCount }
}

let marks = 0
describe.concurrent.each(POOLS)('with %s', (_pool, config, roundTrip) => {
  test.each(STRAYS)('%s gets its own answer', { timeout: PATIENT }, async (_what, stray, expected, stored) => {
    const v = `m${++marks}`
    const told = await strayed(config, roundTrip, stray, v)
    expect(told).toEqual({ answer: expected(v), others: [[{ v }], [{ v }]], rowCount: stored })
  })
})
