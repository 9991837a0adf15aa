/**
 * A client that is given back in no state for the next.
 *
 * What breaks: the user's code returns a client in a transaction, or with statements under way. With plain `pg` the next caller finds
 * itself in another caller's transaction, behind another caller's statement, or loses what was not awaited. With Thaw a client is handed out again
 * when it is idle at the server, and only then.
 */

import { type PostgresServer, sessionsOf, startPostgres, waitForSessions } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import type { Driver } from './child.ts'
import { createPool, discard, outcome } from './side-by-side.ts'
import { until } from './until.ts'

const LOCK = 'select pg_advisory_lock(1)'

let server: PostgresServer
let lastId = 0
const pools: pg.Pool[] = []

function openPool(driver: Driver, config: pg.PoolConfig & { releaseTimeoutMillis?: number }): pg.Pool {
  const pool = createPool(driver, { connectionString: server.url, application_name: `release-${driver}-${++lastId}`, ...config })
  pools.push(pool)
  return pool
}

const nameOf = (pool: pg.Pool) => (pool.options as pg.PoolConfig).application_name ?? ''

/** How many rows the server has of the pool's writing. */
async function rowsOf(pool: pg.Pool): Promise<number | null> {
  return (await server.query('select from notes where author = $1', [nameOf(pool)])).rowCount
}

const insert = (pool: pg.Pool) => ({ text: 'insert into notes values ($1)', values: [nameOf(pool)] })

beforeAll(async () => {
  server = await startPostgres()
  await server.query('create table notes (author text)')
})
afterEach(async () => {
  await Promise.all(pools.splice(0).map(discard))
})
afterAll(() => server.close())

describe('given back in a transaction', () => {
  test('that is open: what others write then is not rolled back with it', async () => {
    const written = async (driver: Driver) => {
      const pool = openPool(driver, { max: 1 })
      const client = await pool.connect()
      await client.query('begin')
      client.release()
      await pool.query(insert(pool))
      await pool.end()
      return rowsOf(pool)
    }
    expect(await written('pg')).toBe(0)
    expect(await written('thaw')).toBe(1)
  })

  test('that has failed: others are not told so', async () => {
    const next = async (driver: Driver) => {
      const pool = openPool(driver, { max: 1 })
      const client = await pool.connect()
      await client.query('begin')
      await client.query('select 1 / 0').catch(() => {})
      client.release()
      return outcome(driver, pool.query('select'))
    }
    expect(await next('pg')).toBe('25P02')
    expect(await next('thaw')).toBe('ok')
  })

  test('that was not awaited: judged when it has begun', async () => {
    const written = async (driver: Driver) => {
      const pool = openPool(driver, { max: 1 })
      const client = await pool.connect()
      client.query('begin').catch(() => {})
      client.release()
      await pool.query(insert(pool))
      await pool.end()
      return rowsOf(pool)
    }
    expect(await written('pg')).toBe(0)
    expect(await written('thaw')).toBe(1)
  })
})

describe('given back with a statement running', () => {
  /** Gives back a client whose statement waits for a lock. */
  async function giveBackBusy(pool: pg.Pool): Promise<{ letGo: () => Promise<void> }> {
    const holder = new pg.Client(server.url)
    await holder.connect()
    await holder.query(LOCK)
    const client = await pool.connect()
    client.query('select pg_advisory_xact_lock_shared(1)').catch(() => {})
    const isWaiting = "select from pg_stat_activity where application_name = $1 and wait_event_type = 'Lock'"
    await until('it runs', async () => (await server.query(isWaiting, [nameOf(pool)])).rowCount === 1)
    client.release()
    return { letGo: () => holder.end() }
  }

  test('is handed to no caller until that ends, and then again', async () => {
    const next = async (driver: Driver) => {
      const pool = openPool(driver, { max: 2 })
      const busy = await giveBackBusy(pool)
      const said = await outcome(driver, pool.query('select'))
      await busy.letGo()
      return { said, pool }
    }
    expect((await next('pg')).said).toBe('hangs')
    const { said, pool } = await next('thaw')
    expect(said).toBe('ok')
    await until('both are idle', () => pool.idleCount === 2)
    expect(await sessionsOf(server, nameOf(pool))).toHaveLength(2)
  })

  test('has its place taken, if that does not end within releaseTimeoutMillis', async () => {
    const next = async (driver: Driver) => {
      const pool = openPool(driver, { max: 1, releaseTimeoutMillis: 50 })
      const busy = await giveBackBusy(pool)
      const said = await outcome(driver, pool.query('select'))
      await busy.letGo()
      return said
    }
    expect(await next('pg')).toBe('hangs')
    expect(await next('thaw')).toBe('ok')
  })

  test('loses none of the writes that were not awaited', async () => {
    const written = async (driver: Driver) => {
      const pool = openPool(driver, { max: 1 })
      const client = await pool.connect()
      for (let i = 0; i < 3; i++) client.query(insert(pool)).catch(() => {})
      client.release()
      await pool.end()
      await waitForSessions(server, nameOf(pool), 0)
      return rowsOf(pool)
    }
    expect(await written('pg')).toBeLessThan(3)
    expect(await written('thaw')).toBe(3)
  })
})

test("control: what the 'connect' event sets without being awaited holds for every statement of the connection", async () => {
  for (const driver of ['pg', 'thaw'] as const) {
    const pool = openPool(driver, { max: 5 })
    pool.on('connect', (client) => void client.query("set work_mem = '7MB'").catch(() => {}))
    const look = async () => (await pool.query<{ work_mem: string }>('show work_mem')).rows[0]?.work_mem
    // Twice, so that some callers wait for connections that others have requested, and some find unused connections.
    const seen = [...(await Promise.all(Array.from({ length: 8 }, look))), ...(await Promise.all(Array.from({ length: 5 }, look)))]
    expect(new Set(seen)).toEqual(new Set(['7MB']))
    expect(pool.totalCount).toBe(5)
  }
})

test('a statement on a client that was given back, and is closed under it, is told what became of it', async () => {
  const pool = openPool('thaw', { max: 1, releaseTimeoutMillis: 200 })
  const client = await pool.connect()
  const left = client.query('select pg_sleep(30), pg_notify($1, $2)', ['channel', 'payload'])
  const told = left.then(
    () => 'ok',
    (error: Error) => error.name,
  )
  client.release()
  expect(await told).toBe('OutcomeUnknownError')
})
