/**
 * A connection that falls silent under a statement.
 *
 * What breaks: a NAT forgets the flow after the statement was sent, so that the answer never comes. The health check at acquire cannot see that. With plain `pg` the call
 * hangs until the kernel gives up, which takes a quarter of an hour. With Thaw the server is asked whether the statement is still running, and a call ends within a
 * few seconds; one that is merely slow is left alone.
 */

import { OutcomeUnknownError } from '@thaw/pg'
import { createStoppableClock } from '@thaw/testkit'
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()
const HANGS_MILLIS = 5000

async function isHanging(work: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined
  const cap = new Promise<true>((resolve) => {
    timer = setTimeout(() => resolve(true), HANGS_MILLIS)
  })
  return Promise.race([cap, work.then(() => false)]).finally(() => clearTimeout(timer))
}

describe('a statement whose connection is silently dropped', () => {
  test('a read is sent again on another connection', async () => {
    const stock = setting.plain()
    await stock.query('SELECT 1')
    const before = setting.proxy.loseNextAnswer({ containing: 'version', cut: 'drop' })
    expect(await isHanging(stock.query('SELECT version()'))).toBe(true)
    await before.struck

    const pool = setting.thaw()
    await pool.query('SELECT 1')
    const lost = setting.proxy.loseNextAnswer({ containing: 'version', cut: 'drop' })
    expect((await pool.query('SELECT version() AS v')).rows[0].v).toMatch(/^PostgreSQL/)
    await lost.struck
    expect(setting.outcomes()).toEqual([expect.objectContaining({ reason: 'read', action: 'retried', code: 'ETIMEDOUT' })])
  })

  test.each([
    ['loseNextRequest', 0],
    ['loseNextAnswer', 1],
  ] as const)('a write ends as unknown (%s)', async (lose, stored) => {
    const pool = setting.thaw({ max: 1 })
    await pool.query('SELECT 1')
    const lost = setting.proxy[lose]({ containing: 'ledger', cut: 'drop' })
    const error = await failure(pool.query(INSERT, [lose]))
    await lost.struck
    expect(error).toBeInstanceOf(OutcomeUnknownError)
    expect(error.cause).toMatchObject({ code: 'ETIMEDOUT' })
    expect(await setting.rows(lose)).toBe(stored)
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })
})

test('a statement behind one whose error came, and ReadyForQuery did not', async () => {
  const client = await setting.thaw().connect()
  client.on('error', () => {})
  const { length } = (await failure(client.query('SELECT 1/0'))) as pg.DatabaseError
  await client.query('BEGIN')
  const lost = setting.proxy.loseNextAnswer({ containing: '1/0', afterBytes: length + 1, cut: 'drop' })
  expect(await failure(client.query('SELECT 1/0'))).toMatchObject({ code: '22012' })
  await lost.struck
  expect(await failure(client.query('ROLLBACK'))).toMatchObject({ kind: 'connection-lost', outcome: 'not-executed', code: 'ETIMEDOUT' })
  client.release(true)
})

test('a statement that is merely slow, or waits for a lock, is left alone', async () => {
  const pool = setting.thaw({ max: 2 })
  const blocker = await pool.connect()
  await blocker.query('BEGIN')
  await blocker.query('LOCK TABLE ledger')
  const opened = setting.proxy.counters.flowsOpened
  const write = pool.query(INSERT, ['patient'])
  await blocker.query('SELECT pg_sleep(3.5)')
  // It was asked after, on a connection of its own.
  expect(setting.proxy.counters.flowsOpened).toBeGreaterThan(opened)
  await blocker.query('COMMIT')
  blocker.release()
  await write
  expect(await setting.rows('patient')).toBe(1)
  expect(setting.outcomes()).toEqual([])
})

test('a slow statement is not taken for a lost one, though little is known of its backend', async () => {
  // The server does not report what its sessions do; a connection attempt took so long that its backend is much younger; the clock is set forward.
  await setting.server.query('ALTER SYSTEM SET track_activities = off')
  await setting.server.query('SELECT pg_reload_conf()')
  try {
    const clock = createStoppableClock()
    const slow = (client: pg.PoolClient) => client.query('SELECT 1 AS one FROM pg_sleep(4)').finally(() => client.release())
    const punctual = await setting.thaw({ clock }).connect()
    setting.proxy.setDelay({ toServerMillis: 500 })
    const late = await setting.thaw().connect()
    setting.proxy.setDelay({})
    clock.addWall(60_000)
    const answers = await Promise.all([punctual, late].map(slow))
    expect(answers.map(({ rows }) => rows)).toEqual([[{ one: 1 }], [{ one: 1 }]])
    expect(setting.outcomes()).toEqual([])
  } finally {
    await setting.server.query('ALTER SYSTEM RESET track_activities')
    await setting.server.query('SELECT pg_reload_conf()')
  }
})
