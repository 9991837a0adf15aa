/** A fleet over WebSocket, and a compute that goes to sleep. */

import * as stock from '@neondatabase/serverless'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { Pool, type PoolConfig } from './index.ts'

useOneNeon()

const PATIENCE = { timeout: 20_000, interval: 50 }

let pools: Pool[]

beforeEach(() => {
  pools = []
})
afterEach(async () => {
  await Promise.all(pools.map((pool) => pool.end({ timeoutMillis: 1000 })))
})

function createPool(fleet: string | { name: string; sessions?: number; keep?: number }, more: PoolConfig = {}): Pool {
  const pool = new Pool({ connectionString: neon.url, max: 1, idleTimeoutMillis: 0, hedge: false, fleet, ...more })
  pools.push(pool)
  return pool
}

async function names(): Promise<string[]> {
  const { rows } = await neon.postgres.query<{ name: string }>(
    "select application_name as name from pg_stat_activity where application_name like '%fleet%' order by backend_start",
  )
  return rows.map(({ name }) => name)
}

test('ends the longest idle ones, whose owners do not notice', async () => {
  const errors: Error[] = []
  const sleeping = [createPool('orders'), createPool('orders')]
  for (const pool of sleeping) pool.on('error', (error: Error) => errors.push(error))
  for (const pool of sleeping) await pool.query('select 1')
  // The first look goes out behind the first statement.
  await vi.waitFor(async () => expect(await names()).toEqual(['fleet:orders', 'fleet:orders']), PATIENCE)
  const awake = createPool({ name: 'orders', sessions: 2 })
  const client = await awake.connect()
  await client.query('select 1')
  expect(await names()).toContain('fleet:orders*')
  client.release()
  await vi.waitFor(async () => {
    await createPool({ name: 'orders', sessions: 2 }).query('select 1')
    expect(pools.reduce((all, pool) => all + (pool.stats().fleet?.evicted ?? 0), 0)).toBeGreaterThanOrEqual(2)
  }, PATIENCE)
  for (const pool of sleeping) expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  expect(errors).toEqual([])
})

test("the user's own name is kept in front, and odd bytes of it are counted", async () => {
  const config = { connectionString: neon.url, max: 1, fleet: 'orders' }
  const pool = new Pool({ ...config, fallback_application_name: 'shop' })
  pools.push(pool)
  await pool.query('select 1')
  await vi.waitFor(async () => expect(await names()).toContain('shop fleet:orders'), PATIENCE)
  expect(() => new Pool({ ...config, application_name: 'é'.repeat(10) })).toThrow(/too long for PostgreSQL/)
})

test('without the lock that proves that no member ends the session, nothing is sent on it', async () => {
  const pool = createPool('careful', { lock_timeout: 50 })
  const session = async () => (await pool.query('insert into careful default values returning pg_backend_pid() as pid')).rows[0].pid
  await neon.postgres.query('create table careful (id int generated always as identity)')
  const old = await session()
  await vi.waitFor(async () => {
    const { rows } = await neon.postgres.query<{ isAsleep: boolean }>(
      `select state = 'idle' and state_change < clock_timestamp() - interval '1.5 seconds' as "isAsleep" from pg_stat_activity where pid = $1`,
      [old],
    )
    expect(rows[0]?.isAsleep).toBe(true)
  }, PATIENCE)
  const evictor = new stock.Client(neon.url)
  await evictor.connect()
  await evictor.query('begin')
  await evictor.query('select pg_advisory_xact_lock(1952997751, $1)', [old])
  expect(await session()).not.toBe(old)
  await evictor.end()
})

test('a pooled address is refused, with what to use instead', () => {
  const connectionString = 'postgresql://u:p@ep-cool-1-pooler.eu-central-1.aws.neon.tech/d'
  expect(() => new Pool({ connectionString, fleet: 'orders' })).toThrow(/needs PostgreSQL itself.*Or take the direct address/)
})

test('with keep: 0 nothing of ours keeps a compute awake', async () => {
  const sleeping = [createPool({ name: 'night', keep: 0 }), createPool({ name: 'night', keep: 0 })]
  // The second is sent when the client has been handed out.
  sleeping[0]?.on('connect', async (client: stock.PoolClient) => {
    await client.query("set timezone = 'UTC'")
    await client.query('set work_mem = 5000')
  })
  await sleeping[0]?.query('select 1')
  const client = await sleeping[1]?.connect()
  await client?.query('begin')
  await client?.query('commit')
  client?.release()
  // No member is awake that could end them, and neither pool closes what is idle.
  await vi.waitFor(async () => await expect.poll(names).toEqual([]), PATIENCE)
  const { webSockets } = neon.counters
  await neon.suspend({ wakeMillis: 0 })
  await new Promise((resolve) => setTimeout(resolve, 1500))
  expect(neon.counters).toMatchObject({ webSockets, wakes: 0 })
  // A request wakes it, and it goes to sleep again.
  await sleeping[0]?.query('select 1')
  expect(neon.counters.wakes).toBe(1)
  await vi.waitFor(async () => await expect.poll(names).toEqual([]), PATIENCE)
})

test('far away, where each reply comes after the trust in it is over, each call is answered', { timeout: 30_000 }, async () => {
  const pool = createPool('orders')
  await pool.query('select 1')
  await vi.waitFor(() => expect(pool.stats().fleet?.looks).toBe(1), PATIENCE)
  neon.network.setDelay({ toServerMillis: 290, toClientMillis: 290 })
  try {
    const client = () => pool.connect().then((one) => one.query('select 1').finally(() => one.release()))
    for (const call of [() => pool.query('create table if not exists far (n int)'), client, client]) await call()
  } finally {
    neon.network.setDelay({})
  }
})
