/**
 * One signal for many statements, as the signal of a request is.
 *
 * What breaks: nothing; but Node warns of a leak as soon as eleven of them wait. With plain `pg` there is no signal.
 */

import { getEventListeners } from 'node:events'
import { expect, test } from 'vitest'
import { failure, useSetting } from './setting.ts'
import { until } from './until.ts'

const setting = useSetting()

test('has one listener for many statements at once, and none when they have ended', async () => {
  const { signal } = new AbortController()
  const pool = setting.thaw()
  const counts: number[] = []
  const count = () => void counts.push(getEventListeners(signal, 'abort').length)
  const whole = pool.transaction(
    (client) => {
      const all = Array.from({ length: 30 }, () => client.query('SELECT 1'))
      count()
      return Promise.all(all)
    },
    { signal },
  )
  const all = Array.from({ length: 30 }, () => pool.query({ text: 'SELECT 1', signal }))
  count()
  await Promise.all([whole, ...all])
  count()
  expect([Math.max(...counts), counts.at(-1)]).toEqual([1, 0])
})

test('it ends all of them, and those that have ended before stay as they are', async () => {
  const controller = new AbortController()
  const pool = setting.thaw()
  const before = await pool.query({ text: 'SELECT 1 AS n', signal: controller.signal })
  const all = Array.from({ length: 12 }, () => failure(pool.query({ text: 'SELECT pg_sleep(60)', signal: controller.signal })))
  await until('some are at work', () => pool.totalCount > 0 && pool.idleCount === 0)
  controller.abort(new Error('enough'))
  expect(new Set((await Promise.all(all)).map(({ message }) => message))).toEqual(new Set(['enough']))
  expect(before.rows).toEqual([{ n: 1 }])
})
