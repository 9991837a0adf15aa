/**
 * Several servers behind one address: a reader endpoint, DNS round robin, a balancer.
 *
 * What breaks: nothing. But who asks after a statement on a connection of its own may ask another server, where that backend does not exist. With plain `pg`
 * a slow statement ends in its own time. So it does with Thaw, which accuses a backend only when it has found it, and found it idle.
 */

import { OutcomeUnknownError } from '@thaw/pg'
import { type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import type pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { activeBackends, failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting({ authentication: 'trust' })
let other: PostgresServer

beforeAll(async () => {
  other = await startPostgres({ authentication: 'trust' })
  await other.query('CREATE TABLE ledger (token text NOT NULL)')
})
afterAll(() => other.close())

/** With a connection to each of the two. */
async function acrossBoth(pool: pg.Pool): Promise<pg.Pool> {
  const first = await pool.connect()
  setting.proxy.moveTo(other)
  const second = await pool.connect()
  setting.proxy.moveTo(setting.server)
  second.release()
  first.release()
  return pool
}

test('slow reads that keep others waiting are left alone', async () => {
  const slow = 'SELECT pg_sleep(4), $1::text'
  const pools = [await acrossBoth(setting.plain({ max: 2 })), await acrossBoth(setting.thaw({ max: 2 }))]
  await Promise.all(
    pools.map((pool) => Promise.all([pool.query(slow, ['one']), pool.query(slow, ['other']), pool.query(INSERT, ['waiting'])])),
  )
  expect(setting.outcomes()).toEqual([])
})

test('a slow write is left alone, whichever server is asked about it', async () => {
  const slow = 'INSERT INTO ledger SELECT $1::text FROM pg_sleep(4)'
  const acquainted = setting.thaw({ max: 1 })
  await acquainted.transaction((tx) => tx.query('SELECT 1'))
  const pools = [setting.plain({ max: 1 }), setting.thaw({ max: 1 }), acquainted]
  const writes = Promise.all(pools.map((pool) => pool.query(slow, ['slow'])))
  await activeBackends(setting.server, 3, 'ledger')
  const opened = setting.proxy.counters.flowsOpened
  setting.proxy.moveTo(other)
  expect((await writes).map(({ rowCount }) => rowCount)).toEqual([1, 1, 1])
  expect(setting.proxy.counters.flowsOpened).toBeGreaterThan(opened + 1)
  expect(setting.outcomes()).toEqual([])
})

test('a slow write is left alone where a standby, or another system, is asked that has begun since', async () => {
  const slow = 'INSERT INTO ledger SELECT $1::text FROM pg_sleep(5)'
  await using elsewhere = await startFaultProxy(setting.server)
  const pools = [setting.thaw({ max: 1 }), setting.thaw({ max: 1, connectionString: elsewhere.urlFor(setting.server.url) })]
  for (const pool of pools) await pool.transaction((tx) => tx.query('SELECT 1'))
  const standby = await setting.server.startStandby()
  const later = await startPostgres({ authentication: 'trust' })
  const writes = Promise.all(pools.map((pool) => pool.transaction((tx) => tx.query(slow, ['begun']))))
  await activeBackends(setting.server, 2, 'ledger')
  setting.proxy.moveTo(standby)
  elsewhere.moveTo(later)
  const opened = [setting.proxy.counters.flowsOpened, elsewhere.counters.flowsOpened]
  expect((await writes).map(({ rowCount }) => rowCount)).toEqual([1, 1])
  const asked = [setting.proxy.counters.flowsOpened, elsewhere.counters.flowsOpened]
  expect(asked.map((flows, place) => flows > (opened[place] ?? 0))).toEqual([true, true])
  expect(setting.outcomes()).toEqual([])
  await standby.close()
  await later.close()
})

test('a lost one is found as soon as the right server is asked', async () => {
  const pool = setting.thaw({ max: 1, probeTimeoutMillis: 200 })
  await pool.query('SELECT 1')
  const lost = setting.proxy.loseNextAnswer({ containing: 'ledger', cut: 'drop' })
  const error = failure(pool.query(INSERT, ['lost']))
  await lost.struck
  const asked: string[] = []
  setting.proxy.moveTo(other)
  setting.proxy.onFlow(() => {
    // The first question went to the other one.
    asked.push('asked')
    setting.proxy.moveTo(setting.server)
  })
  expect(await error).toBeInstanceOf(OutcomeUnknownError)
  expect(asked).toHaveLength(2)
  expect(await setting.rows('lost')).toBe(1)
})

test('a backend that is gone is missed, if it is known which server it was on', async () => {
  const pool = setting.thaw({ max: 1, probeTimeoutMillis: 200 })
  // Its first flight asks.
  await pool.transaction((tx) => tx.query('SELECT 1'))
  const error = failure(pool.query('INSERT INTO ledger SELECT $1::text FROM pg_sleep(60)', ['gone']))
  const [pid] = await activeBackends(setting.server, 1, 'ledger')
  // What lies between swallows the end of the session.
  expect(setting.proxy.cut('drop')).toBe(1)
  await setting.server.query('SELECT pg_terminate_backend($1)', [pid])
  expect(await error).toBeInstanceOf(OutcomeUnknownError)
  expect(await setting.rows('gone')).toBe(0)
})
