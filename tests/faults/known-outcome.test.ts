/**
 * `pool.outcome(error)` after it was told once.
 *
 * What breaks: the answer to COMMIT is lost, and later the server crashes, which hands transaction ids out again. With plain `pg` there is nothing to ask. Thaw is not made unsure of what it knows.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import { runInvocation } from '@thaw/core'
import { OutcomeUnknownError } from '@thaw/pg'
import { createFakeClock } from '@thaw/testkit'
import { expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()

test('stays what it was, although the server can no longer tell', async () => {
  const pool = setting.thaw()
  const lost = setting.proxy.loseNextAnswer({ containing: 'COMMIT' })
  const given = new AbortController()
  const invocation = { id: 'given up', deadlineAt: Number.POSITIVE_INFINITY, signal: given.signal }
  // Its time is up while the server is out of reach.
  const storing = runInvocation(
    invocation,
    () => new AsyncLocalStorage(),
    () => failure(pool.transaction((client) => client.query(INSERT, ['known']))),
  )
  await lost.struck
  setting.proxy.refuse()
  await expect.poll(() => pool.totalCount).toBe(0)
  given.abort()
  const error = await storing
  expect(error).toBeInstanceOf(OutcomeUnknownError)
  await setting.proxy.accept()
  expect(await pool.outcome(error)).toBe('executed')
  await setting.server.restart('immediate')
  await setting.server.query("INSERT INTO ledger VALUES ('a stranger')")
  expect(await pool.outcome(error)).toBe('executed')
})

test('asked inside a transaction that holds the only connection, it ends as unknown, and not four times as late', async () => {
  const clock = createFakeClock()
  await setting.server.query(
    'REVOKE EXECUTE ON FUNCTION pg_xact_status(xid8) FROM public; CREATE ROLE teller LOGIN; GRANT INSERT ON ledger TO teller',
  )
  const teller = setting.thaw({ max: 1, clock, trustMillis: 1e9, options: '-c role=teller' })
  const lost = setting.proxy.loseNextAnswer({ containing: 'COMMIT' })
  const error = await failure(teller.transaction((client) => client.query(INSERT, ['unsaid'])))
  await lost.struck
  expect(error).toMatchObject({ kind: 'outcome-unknown', reason: 'no-functions' })
  await setting.server.query('GRANT EXECUTE ON FUNCTION pg_xact_status(xid8) TO public')
  let seconds = 0
  const told = await teller.transaction(async (client) => {
    await client.query('SELECT 1')
    let answer: Error | undefined
    const asked = failure(teller.outcome(error)).then((unknown) => {
      answer = unknown
    })
    while (!answer) {
      seconds++
      await clock.advanceAsync(1_000)
      await new Promise((resolve) => setImmediate(resolve))
    }
    await asked
    return answer
  })
  expect(told).toMatchObject({ kind: 'outcome-unknown', reason: 'still-in-progress' })
  // 10 s of asking, and a second for each of the questions that are put whatever the time.
  expect(seconds).toBeLessThan(20)
  expect(await teller.outcome(error)).toBe('executed')
})
