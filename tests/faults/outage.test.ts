/**
 * A database that is down, and an application that goes on asking.
 *
 * What breaks: the server, for longer than any caller waits. With plain `pg` each call is a connection attempt, as fast as they come, so that a database that
 * is coming back is trampled. With Thaw the pool makes one attempt at a time with a growing pause, however many callers wait, and retries have a budget.
 */

import { createFakeClock } from '@thaw/testkit'
import type pg from 'pg'
import { expect, test } from 'vitest'
import { failure, useSetting } from './setting.ts'
import { createDialLog } from './side-by-side.ts'

const setting = useSetting()

const SECONDS = 20
/** Callers per step of 100 ms. */
const CALLERS = 5
/** Half a second between two on average, at first less: 10, 20, 40 ms and so on. After the last call, callers that still wait do so for ten seconds. */
const MOST_DIALS = 3 * (SECONDS + 10) + 12

/** Calls arrive for this many seconds. Returns how many, how many connection attempts they caused, and what the callers were told. */
async function outage(pool: pg.Pool, pass: () => Promise<void>): Promise<{ calls: number; told: Set<unknown> }> {
  const calls: Promise<unknown>[] = []
  for (let step = 0; step < SECONDS * 10; step++) {
    for (let caller = 0; caller < CALLERS; caller++) calls.push(failure(pool.query('SELECT 1')).then(({ name }) => name))
    await pass()
  }
  const settled = Promise.all(calls)
  let isOver = false
  settled.then(() => {
    isOver = true
  })
  while (!isOver) await pass()
  return { calls: calls.length, told: new Set(await settled) }
}

test('connection attempts: two a second, not one for each call', async () => {
  const stockLog = createDialLog()
  const stock = setting.plain({ Client: stockLog.Client })
  await stock.query('SELECT 1')
  const thawLog = createDialLog()
  const clock = createFakeClock()
  const pool = setting.thaw({ Client: thawLog.Client, clock })
  await pool.query('SELECT 1')

  setting.proxy.away()
  const before = await outage(stock, () => new Promise((resolve) => void setImmediate(resolve)))
  expect(stockLog.ended.length).toBeGreaterThanOrEqual(before.calls)

  const { calls, told } = await outage(pool, () => clock.advanceAsync(100))
  expect(calls).toBe(SECONDS * 10 * CALLERS)
  expect(told).toEqual(new Set(['AcquireTimeoutError']))
  console.log(`${thawLog.ended.length} dials for ${calls} calls, where plain pg makes ${stockLog.ended.length}`)
  expect(thawLog.ended.length).toBeLessThanOrEqual(MOST_DIALS)
  expect(thawLog.ended.length).toBeGreaterThan(SECONDS / 2)

  await setting.proxy.accept()
  const call = pool.query('SELECT 1 AS one')
  // The longest pause.
  await clock.advanceAsync(1000)
  expect((await call).rows).toEqual([{ one: 1 }])
})

test('statements: ten retries, and one for every five that succeed', async () => {
  const pool = setting.thaw({ max: 1 })
  const lose = async (calls: number): Promise<number> => {
    let sent = 0
    const ambushes = Array.from({ length: calls * 3 }, () => setting.proxy.loseNextAnswer({ containing: 'version' }))
    for (const { struck } of ambushes) struck.then(() => sent++)
    for (let call = 0; call < calls; call++) await failure(pool.query('SELECT version()'))
    for (const { cancel } of ambushes) cancel()
    return sent
  }
  await pool.query('SELECT 1')
  expect(await lose(50)).toBe(60)
  expect(await lose(10)).toBe(10)
  for (let count = 0; count < 15; count++) await pool.query('SELECT 1')
  expect(await lose(10)).toBe(13)
  expect(pool.stats().retried).toBeGreaterThanOrEqual(13)
})
