/**
 * A connection that falls silent under a statement.
 *
 * What breaks: a NAT forgets the flow after the statement was sent, so that the answer never comes. The door cannot see that. With plain `pg` the call
 * hangs until the kernel gives up, which takes a quarter of an hour. With Thaw the server is asked whether it is still at work, and a call ends within a
 * few seconds; one that is merely slow is left alone.
 */

import { OutcomeUnknownError } from '@thaw/pg'
import { createStoppableClock } from '@thaw/testkit'
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
  test('a read is asked again on another connection', async () => {
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
    expect(setting.outcomes()).toEqual([expect.objectContaining({ reason: 'read', action: 'repeated', code: 'ETIMEDOUT' })])
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

describe('a slow statement is not taken for a lost one', () => {
  const SLOW = 'SELECT 1 AS one FROM pg_sleep(4)'

  test('where the server does not tell what its sessions do (track_activities)', async () => {
    await setting.server.query('ALTER SYSTEM SET track_activities = off')
    await setting.server.query('SELECT pg_reload_conf()')
    try {
      expect((await setting.thaw().query(SLOW)).rows).toEqual([{ one: 1 }])
      expect(setting.outcomes()).toEqual([])
    } finally {
      await setting.server.query('ALTER SYSTEM RESET track_activities')
      await setting.server.query('SELECT pg_reload_conf()')
    }
  })

  test('on a connection that took long to be made: its backend is younger than the dial', async () => {
    setting.proxy.setDelay({ toServerMillis: 700 })
    const client = await setting.thaw({ max: 2 }).connect()
    setting.proxy.setDelay({})
    expect((await client.query(SLOW)).rows).toEqual([{ one: 1 }])
    client.release()
    expect(setting.outcomes()).toEqual([])
  })

  test('when somebody sets the clock forward', async () => {
    const clock = createStoppableClock()
    const client = await setting.thaw({ clock }).connect()
    clock.addWall(60_000)
    expect((await client.query(SLOW)).rows).toEqual([{ one: 1 }])
    client.release()
    expect(setting.outcomes()).toEqual([])
  })
})
