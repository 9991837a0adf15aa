/**
 * The answer to a write under a key is lost, and before it is asked after another statement is stored under the same key: by a new version of the program, or by a mistake in its keys.
 *
 * What breaks: the network, while the table of keys is out of reach. Plain `pg` has no keys. With Thaw the first write was not executed, and never will be: the row of the other has its place.
 */

import { OutcomeUnknownError } from '@thaw/pg'
import { expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()
const write = (token: string) => ({ text: INSERT, values: [token], idempotencyKey: 'shared' })

test('pool.outcome() tells of the statement that was lost, not of the other', { timeout: 60_000 }, async () => {
  const pool = setting.thaw({ max: 1, connectionTimeoutMillis: 500 })
  await pool.createIdempotencyTable()
  const lost = setting.proxy.loseNextRequest({ containing: 'first', cut: 'rst' })
  const first = failure(pool.query(write('first')))
  await lost.struck
  setting.proxy.refuse()
  setting.proxy.cut('rst')
  const error = await first
  expect(error).toBeInstanceOf(OutcomeUnknownError)
  await setting.proxy.accept()
  await setting.thaw().query(write('second'))
  expect(await pool.outcome(error)).toBe('not-executed')
  expect([await setting.rows('first'), await setting.rows('second')]).toEqual([0, 1])
  // As before, of one that is there.
  const answer = setting.proxy.loseNextAnswer({ containing: 'third', cut: 'rst' })
  const third = failure(pool.query({ ...write('third'), idempotencyKey: 'own' }))
  await answer.struck
  setting.proxy.refuse()
  setting.proxy.cut('rst')
  const stored = await third
  await setting.proxy.accept()
  expect(await pool.outcome(stored)).toBe('executed')
})
