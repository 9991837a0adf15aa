/**
 * A primary that goes when COMMIT was sent, and a standby that takes its place.
 *
 * What breaks: the server, and with it what it would say of a transaction's id. With plain `pg` the user sees `ECONNRESET`. A client that asks the new primary for the status of the old id, and
 * believes it, may be told of another transaction. With Thaw the error says that no client can know, unless it is certain that nothing is stored.
 */

import { OutcomeUnknownError } from '@thaw/pg'
import { afterEach, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()

afterEach(async () => {
  await setting.server.start()
})

async function failOver(lose: 'loseNextRequest' | 'loseNextAnswer', token: string, strangers: number) {
  const standby = await setting.server.startStandby()
  const pool = setting.thaw({ connectionTimeoutMillis: 20_000 })
  await pool.transaction((client) => client.query(INSERT, ['before']))
  const lost = setting.proxy[lose]({ containing: 'COMMIT' })
  const done = pool
    .transaction((client) => client.query(INSERT, [token]))
    .then(
      () => undefined,
      (error: Error) => error,
    )
  setting.proxy.refuse()
  await lost.struck
  await standby.catchUp()
  await setting.server.stop('immediate')
  setting.proxy.moveTo(standby)
  await standby.promote()
  for (let count = 0; count < strangers; count++) await standby.query("INSERT INTO ledger VALUES ('a stranger')")
  await setting.proxy.accept()
  const error = await done
  const { rowCount } = await standby.query('SELECT FROM ledger WHERE token = $1', [token])
  return { standby, pool, error, rowCount }
}

test('COMMIT never arrived: the transaction is run again on the new primary, and stored once', async () => {
  const { standby, error, rowCount } = await failOver('loseNextRequest', 'never-arrived', 0)
  await using _ = standby
  expect([error, rowCount]).toEqual([undefined, 1])
})

test('COMMIT was stored and its answer lost: no client can know, and the error says so', async () => {
  const { standby, pool, error, rowCount } = await failOver('loseNextAnswer', 'stored', 3)
  await using _ = standby
  expect(error).toBeInstanceOf(OutcomeUnknownError)
  expect(error).toMatchObject({ reason: 'xid-may-be-anothers' })
  expect(await failure(pool.outcome(error))).toBeInstanceOf(OutcomeUnknownError)
  expect(rowCount).toBe(1)
})
