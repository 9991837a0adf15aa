/**
 * A member far away from its server: a reply that took longer than 250 ms may have waited in the socket of a frozen process, so the trust in it begins with the request, and is over
 * when the reply is there. Plain pg and a pool without a fleet answer here, and so must a member.
 */

import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Pool, type PoolConfig } from './index.ts'

const PATIENT = 60_000

let server: PostgresServer
const proxies: FaultProxy[] = []

beforeAll(async () => {
  server = await startPostgres({ settings: { max_connections: 60 } })
  await server.query('create table far (n int)')
})
afterAll(async () => {
  await Promise.all(proxies.map((proxy) => proxy.close()))
  await server.close()
})

type AnyPool = Pick<Pool, 'query' | 'connect' | 'end'>

const write = (pool: AnyPool) => pool.query('insert into far values (1)')
async function hold(pool: AnyPool): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('insert into far values (1)')
  } finally {
    client.release()
  }
}

/** One call after the other, and how long each took. The delay begins when there is a connection. */
async function calls(pool: AnyPool, far: () => void, call: (pool: AnyPool) => Promise<unknown>, count: number): Promise<number[]> {
  await pool.query('select 1')
  await pool.query('select 1')
  far()
  const took: number[] = []
  for (let i = 0; i < count; i++) {
    const began = performance.now()
    await call(pool)
    took.push(performance.now() - began)
  }
  await pool.end()
  return took
}

async function open(config: PoolConfig, Any: typeof Pool | typeof stock.Pool, roundTrip: number) {
  const proxy = await startFaultProxy(server)
  proxies.push(proxy)
  const pool = new Any({ connectionString: proxy.urlFor(server.url), max: 1, ...config } as PoolConfig)
  pool.on('error', () => {})
  return { proxy, pool, far: () => proxy.setDelay({ toServerMillis: roundTrip / 2, toClientMillis: roundTrip / 2 }) }
}

describe.concurrent('each call is answered', () => {
  test.each([
    [520, {}],
    [600, {}],
    [680, {}],
    [740, {}],
    [300, { trustMillis: 100 }],
    [600, { trustMillis: 0 }],
    [800, {}],
  ])('with a round trip of %i ms, and %j', { timeout: PATIENT }, async (roundTrip, config) => {
    const { pool, proxy, far } = await open({ fleet: 'far', ...config } as PoolConfig, Pool, roundTrip)
    const took = await calls(pool, far, write, 4)
    // A probe and the statement; at 800 ms, four probes and a login.
    if (roundTrip < 700) expect(Math.max(...took)).toBeLessThan(roundTrip * 4)
    if (roundTrip < 700) expect(proxy.flows.length).toBeLessThanOrEqual(2)
  })

  test.each<[string, (pool: Pool) => Promise<unknown>]>([
    ['a client', hold],
    ['a transaction', (pool) => pool.transaction((tx) => tx.query('insert into far values (1)'))],
    ['a batch', (pool) => pool.batch([{ text: 'insert into far values (1)' }])],
    ['a read', (pool) => pool.query('select 1')],
  ])('%s', { timeout: PATIENT }, async (_, call) => {
    const { pool, far } = await open({ fleet: 'far' } as PoolConfig, Pool, 560)
    const took = await calls(pool, far, (any) => call(any as Pool), 3)
    expect(Math.max(...took)).toBeLessThan(560 * 8)
  })

  test('ten writes at once on three connections', { timeout: PATIENT }, async () => {
    const { pool, far } = await open({ fleet: 'far', max: 3 } as PoolConfig, Pool, 560)
    await calls(pool, far, (any) => Promise.all(Array.from({ length: 10 }, () => write(any))), 2)
  })

  test('as with plain pg', { timeout: PATIENT }, async () => {
    const { pool, far } = await open({}, stock.Pool, 560)
    const took = await calls(pool, far, write, 3)
    expect(Math.max(...took)).toBeLessThan(560 * 2)
  })
})
