/** State that a statement leaves in the session of a client that its caller has released: with plain pg it stays, and so it does in a fleet. */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { Pool, type PoolConfig } from './index.ts'

const PATIENCE = { timeout: 20_000, interval: 20 }
/** The longest idle ones may be ended after 1.5 s. */
const LEASE = "interval '1.5 seconds'"

let server: PostgresServer
const pools: stock.Pool[] = []
/** Not a superuser, for whom three sessions are kept. */
const url = () => `postgres://app:app@${server.host}:${server.port}/postgres`

function createPool(config: PoolConfig & { fleet?: unknown } = {}): Pool {
  const pool = new Pool({ connectionString: url(), max: 1, idleTimeoutMillis: 0, hedge: false, ...config } as PoolConfig)
  pools.push(pool)
  return pool
}

beforeAll(async () => {
  server = await startPostgres({ settings: { max_connections: 13 } })
  await server.query("create role app login password 'app'")
})
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.end()))
})
afterAll(() => server.close())

const WAYS: Record<string, (pool: stock.Pool) => Promise<stock.PoolClient>> = {
  'at once': async (pool) => {
    const client = await pool.connect()
    client.release()
    await client.query('listen news')
    return client
  },
  'when it rests': async (pool) => {
    const client = await pool.connect()
    client.release()
    await new Promise((resolve) => setTimeout(resolve, 50))
    await client.query('listen news')
    return client
  },
  'behind a statement that is not awaited': async (pool) => {
    const client = await pool.connect()
    const before = client.query('select pg_sleep(0.05)')
    client.release()
    await client.query('listen news')
    await before
    return client
  },
}

describe.each(Object.entries(WAYS))('LISTEN on a client that was released, %s', (_name, listen) => {
  test('is heard by plain pg, whose session stays', async () => {
    const pool = new stock.Pool({ connectionString: url(), max: 1 })
    pools.push(pool)
    const client = await listen(pool)
    const heard = new Promise((resolve) => client.once('notification', resolve))
    await server.query('notify news')
    await heard
  })

  test('spares its session in a fleet', async () => {
    const pool = createPool({ fleet: 'orders' })
    await pool.query('select 1')
    await pool.query('select 1')
    const client = await listen(pool)
    let heard = 0
    client.on('notification', () => heard++)
    await vi.waitFor(async () => {
      const { rows } = await server.query<{ name: string; isOver: boolean }>(
        `select application_name as name, state_change < clock_timestamp() - ${LEASE} as "isOver" from pg_stat_activity where usename = 'app'`,
      )
      expect(rows).toEqual([{ name: 'fleet:orders*', isOver: true }])
    }, PATIENCE)
    // As many as there is room for, and one more.
    for (let i = 0; i < 10; i++) await createPool({ fleet: 'orders' }).query('select 1')
    await server.query('notify news')
    await vi.waitFor(() => expect(heard).toBe(1), PATIENCE)
  })

  test('is told when its session is lost', async () => {
    const pool = createPool()
    pool.on('error', () => {})
    let lost = 0
    pool.subscribe(({ type }) => {
      if (type === 'sessionLost') lost++
    })
    await pool.query('select 1')
    await listen(pool)
    await server.query("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'app'")
    await vi.waitFor(() => expect(lost).toBe(1), PATIENCE)
  })
})
