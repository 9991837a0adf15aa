/**
 * Users test their code with fake timers, and with a real database behind it. What moves, or stops, is their clock: a pool that listened to it
 * would wait for a turn of the event loop that never comes, or take an hour of make-believe for a freeze.
 */

import { createRequire } from 'node:module'
import { Pool as NeonPool } from '@thaw/neon'
import { Pool } from '@thaw/pg'
import pg from 'pg'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { neon, useOneNeon } from '../faults/one-neon.ts'

useOneNeon()

const pools: pg.Pool[] = []

afterEach(async () => {
  vi.useRealTimers()
  await Promise.all(pools.splice(0).map((pool) => pool.end()))
})

/** A set-up file fakes the timers, and the code under test is imported behind it. */
const loadedLate = async (name: string): Promise<typeof pg> => {
  vi.useRealTimers()
  vi.resetModules()
  vi.useFakeTimers()
  const loaded = await import(name)
  return loaded.default ?? loaded
}

const drivers: readonly [name: string, make: (config?: pg.PoolConfig) => pg.Pool][] = [
  ['pg', (config) => new pg.Pool({ connectionString: neon.postgres.url, ...config })],
  ['@thaw/pg', (config) => new Pool({ connectionString: neon.postgres.url, ...config })],
  ['@thaw/neon', (config) => new NeonPool({ connectionString: neon.url, ...config }) as unknown as pg.Pool],
]

describe.each(drivers)('%s', (_name, make) => {
  function createPool(config?: pg.PoolConfig): pg.Pool {
    const pool = make(config)
    pools.push(pool)
    return pool
  }

  test('answers while the timers are fake, before and after they are moved', async () => {
    vi.useFakeTimers()
    const pool = createPool()
    await pool.query('select 1')
    vi.advanceTimersByTime(5000)
    expect((await pool.query('select 1 as a')).rows).toEqual([{ a: 1 }])
    vi.setSystemTime(Date.now() + 3_600_000)
    expect((await pool.query('select 2 as a')).rows).toEqual([{ a: 2 }])
  })

  test('serves more callers than it has connections while the timers are fake', async () => {
    vi.useFakeTimers()
    const pool = createPool({ max: 1 })
    const answers = await Promise.all([1, 2, 3].map((n) => pool.query('select $1::int as a', [n])))
    expect(answers.map(({ rows }) => rows[0].a)).toEqual([1, 2, 3])
  })

  test('hands out a client while the timers are fake, an hour from now', async () => {
    const pool = createPool({ idleTimeoutMillis: 0 })
    await pool.query('select 1')
    vi.useFakeTimers({ now: Date.now() + 3_600_000 })
    const client = await pool.connect()
    await client.query('begin')
    await client.query('commit')
    client.release()
  })
})

test.each([
  ['pg', () => neon.postgres.url],
  ['@thaw/pg', () => neon.postgres.url],
  ['@thaw/neon', () => neon.url],
])('%s, loaded when the timers are fake already, answers before and after they are moved', async (name, url) => {
  const { Pool: Loaded } = await loadedLate(name)
  const pool = new Loaded({ connectionString: url(), max: 1 })
  pools.push(pool)
  await pool.query('select 1')
  vi.advanceTimersByTime(5000)
  const answers = await Promise.all([1, 2, 3].map((n) => pool.query('select $1::int as a', [n])))
  expect(answers.map(({ rows }) => rows[0].a)).toEqual([1, 2, 3])
  vi.setSystemTime(Date.now() + 3_600_000)
  const client = await pool.connect()
  await client.query('begin')
  await client.query('commit')
  client.release()
  vi.advanceTimersByTime(5000)
  if (name !== 'pg')
    await expect(pool.query({ text: 'select pg_sleep(5)', query_timeout: 50 } as pg.QueryConfig)).rejects.toThrow(/timeout/)
})

test('loaded where `process.nextTick` is fake already, as in Jest: clients and transactions', async () => {
  const { nextTick } = process
  // As Sinon marks what it has replaced. It is called when the test moves the time, so never.
  const fake = Object.assign(() => {}, { clock: {} }) as unknown as typeof nextTick
  const require = createRequire(import.meta.url)
  for (const file of Object.keys(require.cache)) delete require.cache[file]
  process.nextTick = fake
  let Loaded: typeof Pool
  try {
    Loaded = require('@thaw/pg').Pool
  } finally {
    process.nextTick = nextTick
  }
  const pool = new Loaded({ connectionString: neon.postgres.url, max: 1 })
  pools.push(pool)
  await pool.query('select 1')
  const client = await pool.connect()
  await client.query('begin')
  await client.query('commit')
  client.release()
  expect(await pool.transaction(async (inner) => (await inner.query('select 3 as a')).rows)).toEqual([{ a: 3 }])
})

describe.each([
  ['@thaw/pg', () => new Pool({ connectionString: neon.compute.urlFor(neon.postgres.url) })],
  ['@thaw/neon', () => new NeonPool({ connectionString: neon.url }) as unknown as Pool],
] as const)('%s, while the timers are fake', (_name, make) => {
  const insert = (token: string) => ({ text: 'INSERT INTO faked VALUES ($1) RETURNING token', values: [token] })
  const writes: readonly [name: string, containing: string, write: (pool: Pool, token: string) => Promise<unknown>][] = [
    ['a transaction', 'COMMIT', async (pool, token) => (await pool.transaction((client) => client.query(insert(token)))).rows],
    ['once', 'COMMIT', async (pool, token) => (await pool.query({ ...insert(token), once: true })).rows],
    ['a batch', 'INTO faked', async (pool, token) => (await pool.batch([insert(token)]))[0]?.rows],
    ['a key', 'INTO faked', async (pool, token) => (await pool.query({ ...insert(token), idempotencyKey: token })).rows],
  ]

  test.each(writes)('%s whose request or answer is lost is stored once', async (name, containing, write) => {
    await neon.postgres.query('DROP TABLE IF EXISTS faked, thaw_idempotency; CREATE TABLE faked (token text)')
    const pool = make()
    pools.push(pool)
    await pool.createIdempotencyTable()
    vi.useFakeTimers({ now: Date.now() + 3_600_000 })
    for (const lose of ['loseNextRequest', 'loseNextAnswer'] as const) {
      const token = `${name} ${lose}`
      const lost = neon.compute[lose]({ containing })
      expect(await write(pool, token)).toEqual([{ token }])
      await lost.struck
      expect((await neon.postgres.query('SELECT FROM faked WHERE token = $1', [token])).rowCount).toBe(1)
    }
  })
})
