/**
 * A primary that goes, and a standby that takes its place.
 *
 * What breaks: the server. The host name leads to a standby for a while, which takes reads and refuses writes (25006), and then to the new
 * primary. With plain `pg` each connection that was made meanwhile goes on refusing. With Thaw a refused write asks whether that is a standby: if
 * so every connection is dropped, the name is looked up anew, and the write is sent again, once. A setting that makes a healthy primary read-only is the
 * user's own: PostgreSQL's error passes.
 */

import { createFakeClock, type PostgresServer, type StandbyServer } from '@thaw/testkit'
import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()
let standby: StandbyServer

const READ_ONLY = { code: '25006' }

/** As many connections as `max`, all at once. */
async function fill(pool: pg.Pool): Promise<void> {
  const clients = await Promise.all(Array.from({ length: pool.options.max }, () => pool.connect()))
  for (const client of clients) client.release()
}

/** How often the token is on the server that now counts. */
async function stored(on: PostgresServer, token: string): Promise<number> {
  return (await on.query('SELECT FROM ledger WHERE token = $1', [token])).rowCount ?? 0
}

beforeAll(async () => {
  standby = await setting.server.startStandby()
})
beforeEach(() => setting.server.query('TRUNCATE ledger'))
afterAll(() => standby.close())

describe('the name leads to a standby', () => {
  test('and to the primary again: the write is sent there, and the pool forgets the standby', async () => {
    setting.proxy.moveTo(standby)
    const [stock, pool] = [setting.plain({ max: 3 }), setting.thaw({ max: 3 })]
    await Promise.all([fill(stock), fill(pool)])
    setting.proxy.moveTo(setting.server)
    expect(await failure(stock.query(INSERT, ['moved']))).toMatchObject(READ_ONLY)

    await pool.query(INSERT, ['moved'])
    expect(await setting.rows('moved')).toBe(1)
    expect(pool.stats().generation).toBe(1)
    await Promise.all([1, 2, 3].map(() => pool.query(INSERT, ['after'])))
    expect(await setting.rows('after')).toBe(3)
  })

  test('and goes on doing so: the error of the server, after one look-up', async () => {
    setting.proxy.moveTo(standby)
    const pool = setting.thaw({ max: 3 })
    await fill(pool)
    expect(await failure(pool.query(INSERT, ['refused']))).toMatchObject(READ_ONLY)
    expect(setting.proxy.counters.flowsOpened).toBe(4)
    // Reads are welcome.
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('a pool of a replica, on purpose: writes by mistake do not renew it each time', async () => {
    setting.proxy.moveTo(standby)
    const pool = setting.thaw({ max: 3, keepOnSqlError: true, clock: createFakeClock() })
    await fill(pool)
    for (let count = 0; count < 10; count++) await failure(pool.query(INSERT, ['by-mistake']))
    expect(pool.stats().generation).toBe(1)
    expect(setting.proxy.counters.flowsOpened).toBe(4)
  })

  test('a pool of a replica: the longer it is one, the rarer it is renewed', async () => {
    setting.proxy.moveTo(standby)
    const clock = createFakeClock()
    const pool = setting.thaw({ max: 3, keepOnSqlError: true, clock })
    for (let second = 0; second < 60; second++) {
      expect(await failure(pool.query(INSERT, ['by-mistake']))).toMatchObject(READ_ONLY)
      clock.advance(1000)
    }
    // After 0, 1, 3, 7, 15 and 31 s.
    expect(pool.stats().generation).toBe(6)
  })

  test('many writes at once: the pool is renewed once, and each write is sent again', async () => {
    setting.proxy.moveTo(standby)
    const pool = setting.thaw({ max: 3 })
    await fill(pool)
    setting.proxy.moveTo(setting.server)
    await Promise.all([1, 2, 3].map(() => pool.query(INSERT, ['at-once'])))
    expect(await setting.rows('at-once')).toBe(3)
    expect(pool.stats().generation).toBe(1)
  })

  test('that another one is promoted beside: the pool leaves it, a second after it was found to be one', async () => {
    setting.proxy.moveTo(standby)
    const clock = createFakeClock()
    const pool = setting.thaw({ max: 3, keepOnSqlError: true, clock })
    await fill(pool)
    await failure(pool.query(INSERT, ['refused']))
    await fill(pool)
    setting.proxy.moveTo(setting.server)
    clock.advance(1000)
    await pool.query(INSERT, ['found'])
    expect(await setting.rows('found')).toBe(1)
    expect(pool.stats().generation).toBe(2)
  })
})

test('an idempotent write whose first try is lost in the failover is done by the new primary', async () => {
  const pool = setting.thaw({ max: 1 })
  await pool.query('CREATE TABLE IF NOT EXISTS once (token text PRIMARY KEY)')
  await standby.catchUp()
  const lost = setting.proxy.loseNextAnswer({ containing: 'ON CONFLICT' })
  setting.proxy.moveTo(standby)
  const refused = setting.proxy.onFlow(() => setting.proxy.moveTo(setting.server))
  const call = pool.query({ text: 'INSERT INTO once VALUES ($1) ON CONFLICT DO NOTHING', values: ['failover'], idempotent: true })
  await lost.struck
  await call
  refused()
  expect(pool.stats().generation).toBe(1)
  expect((await setting.server.query('SELECT FROM once')).rowCount).toBe(1)
})

test.each([
  ['the database is set to be read-only', 'ALTER DATABASE postgres SET default_transaction_read_only = on'],
  ['the role is', 'ALTER ROLE postgres SET default_transaction_read_only = on'],
])('a healthy primary refuses, because %s: its error passes, and no connection is dropped for it', async (_what, alter) => {
  await setting.server.query(alter)
  try {
    const pool = setting.thaw({ max: 2 })
    await fill(pool)
    expect(await failure(pool.query(INSERT, ['read-only']))).toMatchObject(READ_ONLY)
    expect(pool.stats()).toMatchObject({ generation: 0, total: 1 })
  } finally {
    await setting.server.query(`SET transaction_read_only = off; ${alter.replace('= on', '= off')}`)
  }
})

test('the primary goes, its standby refuses writes, and is promoted under the pool', async () => {
  const pool = setting.thaw({ max: 3 })
  await fill(pool)
  await pool.query(INSERT, ['before'])
  await standby.catchUp()
  setting.proxy.moveTo(standby)
  await setting.server.stop('immediate')
  try {
    expect((await pool.query('SELECT token FROM ledger')).rows).toEqual([{ token: 'before' }])
    expect(await failure(pool.query(INSERT, ['too-early']))).toMatchObject(READ_ONLY)
    await fill(pool)
    await standby.promote()
    await Promise.all(['a', 'b', 'c'].map((token) => pool.query(INSERT, [token])))
    for (const token of ['before', 'a', 'b', 'c']) expect(await stored(standby, token)).toBe(1)
    expect(await stored(standby, 'too-early')).toBe(0)
    expect(pool.totalCount).toBeLessThanOrEqual(3)
  } finally {
    await setting.server.start()
  }
})
