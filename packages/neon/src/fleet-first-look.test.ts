/** Over WebSocket, at addresses where PostgreSQL itself has not answered yet: what waits for the first look, and what must not be written before its answer. */

import { afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { Pool, type PoolConfig } from './index.ts'

// At a host that is not Neon's, such process ids are a pooler's.
useOneNeon({ inventsProcessIds: true })

const PATIENCE = { timeout: 20_000, interval: 20 }
const PATIENT = 60_000

const pools: Pool[] = []
let hosts = 0

/** At an address of its own. */
function member(config: PoolConfig = {}, host = `ep-cool-${++hosts}.eu-central-1.aws.neon.tech`): Pool {
  const url = new URL(neon.url)
  url.hostname = host
  url.port = ''
  const options = { connectionString: url.href, max: 1, idleTimeoutMillis: 0, hedge: false as const, connectionTimeoutMillis: 10_000 }
  const pool = new Pool({ ...options, fleet: 'orders', ...config })
  pools.push(pool)
  return pool
}

beforeAll(() => neon.postgres.query('create table orders (id int)'))
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.end({ timeoutMillis: 1000 })))
  await neon.postgres.query('truncate orders')
})

const stored = async () => (await neon.postgres.query<{ n: number }>('select count(*)::int as n from orders')).rows[0]?.n

test('a client that is released while its statement runs says that it is free when that is answered', { timeout: PATIENT }, async () => {
  const pool = member({ releaseTimeoutMillis: 60_000 })
  const client = await pool.connect()
  const drained = vi.fn()
  client.on('drain', drained)
  client.query('insert into orders values (1)').catch(() => {})
  client.release()
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  expect(drained).toHaveBeenCalled()
  expect(pool.stats()).toMatchObject({ connected: 1 })
  expect(await stored()).toBe(1)
})

describe('a look that is never answered', () => {
  test('does not keep a write waiting: it was not sent, and goes out on another connection', { timeout: PATIENT }, async () => {
    const pool = member({ probeTimeoutMillis: 300 })
    await pool.query('select 1')
    neon.network.cut('drop')
    await pool.query('insert into orders values (1)')
    expect(await stored()).toBe(1)
    expect(pool.stats()).toMatchObject({ connected: 2 })
  })

  test("nor a client's: it is told that it was not executed", { timeout: PATIENT }, async () => {
    const pool = member({ probeTimeoutMillis: 300 })
    const client = await pool.connect()
    client.on('error', () => {})
    await client.query('select 1')
    neon.network.cut('drop')
    await expect(client.query('insert into orders values (1)')).rejects.toMatchObject({ name: 'ConnectionLostError', code: 'ETIMEDOUT' })
    client.release()
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(await stored()).toBe(0)
  })
})

test("a pooler's session is left as it is, and a client keeps the one that it has", { timeout: PATIENT }, async () => {
  const pool = member({}, 'db.example')
  const first = await pool.connect()
  await first.query('select 1')
  first.release()
  await vi.waitFor(() => expect(pool.stats()).toMatchObject({ connected: 1, fleetTrouble: 1, fleet: { looks: 0 } }), PATIENCE)
  const client = await pool.connect()
  const { rows } = await client.query("select current_setting('application_name') as name, current_setting('idle_session_timeout') as ends")
  client.release()
  // What it was called at its login, before anything was known.
  expect(rows).toEqual([{ name: expect.stringMatching(/fleet:orders\*$/), ends: '0' }])
})
