/**
 * What an operator does at PgBouncer's console, and what callers see of it: PAUSE, RELOAD, and another server beneath.
 *
 * Nothing here breaks plain `pg`, which just waits. It might break a pool that probes: while PgBouncer is paused it answers no probe, and a connection that
 * does not answer looks dead. So these are controls: on Thaw no call may fail that does not fail on `pg`, and nothing may be written twice.
 */

import { Pool as ThawPool } from '@thaw/pg'
import { type PgBouncer, type PostgresServer, startPgBouncer, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { discard } from '../faults/side-by-side.ts'
import { until } from '../faults/until.ts'

const DRIVERS = ['pg', 'thaw'] as const
/** As many connections to the server as the pool has to PgBouncer. */
const SIZE = 4
/** Longer than a probe may take. */
const PAUSED_MILLIS = 1_500

let server: PostgresServer
let pooler: PgBouncer
let pool: pg.Pool

beforeAll(async () => {
  server = await startPostgres()
  await server.query('CREATE TABLE ledger (token text NOT NULL)')
})
afterAll(() => server.close())
beforeEach(() => server.query('TRUNCATE ledger'))
afterEach(async () => {
  if (!pool.ending) await discard(pool)
  await pooler[Symbol.asyncDispose]()
})

async function open(driver: (typeof DRIVERS)[number], mode: 'transaction' | 'session'): Promise<void> {
  pooler = await startPgBouncer(server, { mode, sessions: SIZE })
  const config = { connectionString: pooler.urlFor(server.url), max: SIZE, idleTimeoutMillis: 0, connectionTimeoutMillis: 60_000 }
  // Each connection is probed each time it is acquired.
  pool = driver === 'pg' ? new pg.Pool(config) : new ThawPool({ ...config, trustMillis: 0 })
  pool.on('error', () => {})
  const clients = await Promise.all(Array.from({ length: SIZE }, () => pool.connect()))
  // In session mode a client has a session of the server from its first statement on. One that had none would wait behind PAUSE.
  await Promise.all(clients.map((client) => client.query('SELECT 1')))
  for (const client of clients) client.release()
}

const write = (token: string) => pool.query('INSERT INTO ledger VALUES ($1)', [token])

/** Writes without a pause, by several callers, until it is stopped. `written` throws the first failure. */
function load(): { readonly written: () => number; readonly stop: () => Promise<string[]> } {
  const written: string[] = []
  let isOver = false
  let failure: unknown
  const caller = async (_: unknown, caller: number) => {
    for (let n = 0; !isOver; n++) {
      await write(`${caller}-${n}`)
      written.push(`${caller}-${n}`)
    }
  }
  const callers = Promise.all(Array.from({ length: SIZE + 2 }, caller))
  callers.catch((error) => {
    failure = error
  })
  return {
    written() {
      if (failure) throw failure
      return written.length
    },
    stop() {
      isOver = true
      return callers.then(() => written.sort())
    },
  }
}

async function ledgerOf(where: PostgresServer): Promise<string[]> {
  return (await where.query<{ token: string }>('SELECT token FROM ledger')).rows.map(({ token }) => token).sort()
}

describe.for(DRIVERS)('on %s', (driver) => {
  test('PAUSE, for longer than a probe may take: calls wait for RESUME, and each is answered', async () => {
    await open(driver, 'transaction')
    await pooler.admin('PAUSE postgres')
    const calls = Promise.all([write('a'), write('b'), pool.query('SELECT 1'), pool.query('SELECT 2'), write('c')])
    // The time is the fault.
    await new Promise((resolve) => setTimeout(resolve, PAUSED_MILLIS))
    await pooler.admin('RESUME postgres')
    await calls
    expect(await ledgerOf(server)).toEqual(['a', 'b', 'c'])
    expect(pool.totalCount).toBeLessThanOrEqual(SIZE)
  })

  test('RELOAD under load: no call notices', async () => {
    await open(driver, 'transaction')
    const calls = load()
    for (const count of [20, 40, 60]) {
      await until('calls are answered', () => calls.written() > count)
      await pooler.admin('RELOAD')
    }
    expect(await calls.stop()).toEqual(await ledgerOf(server))
  })

  test('another server beneath, by PAUSE, RELOAD and RESUME under load: no call fails, and all that was written is there', async () => {
    await open(driver, 'transaction')
    const standby = await server.startStandby()
    onTestFinished(() => standby.close())
    const calls = load()
    await until('calls are answered', () => calls.written() > 20)
    await pooler.admin('PAUSE postgres')
    const before = calls.written()
    await standby.catchUp()
    await standby.promote()
    await pooler.pointTo(standby)
    await pooler.admin('RELOAD')
    await pooler.admin('RESUME postgres')
    await until('calls are answered by the other one', () => calls.written() > before + 20)
    const written = await calls.stop()
    expect(await ledgerOf(standby)).toEqual(written)
    expect((await ledgerOf(server)).length).toBeLessThan(written.length)
  })

  test('PAUSE in session mode waits until every client has left, and calls go on', async () => {
    await open(driver, 'session')
    let isPaused = false
    const paused = pooler.admin('PAUSE postgres').then(() => {
      isPaused = true
    })
    for (let n = 0; n < 20; n++) await write(String(n))
    expect(isPaused).toBe(false)
    await pool.end()
    await paused
    await pooler.admin('RESUME postgres')
  })
})
