/**
 * `pool.outcome(error)` after it was told once.
 *
 * What breaks: the answer to COMMIT is lost, and later the server crashes, which hands transaction ids out again. With plain `pg` there is nothing to ask. Thaw is not made unsure of what it knows.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import { runInvocation } from '@thaw/core'
import { OutcomeUnknownError } from '@thaw/pg'
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
