/** The questions that Thaw asks by itself after a loss: on which connection, and what becomes of them where that one is lost, too. */

import { ConnectionLostError } from '@thaw/pg'
import { expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()

test('one that is lost as well is not the cause of an error: it would be taken for the fate of the transaction', async () => {
  const pool = setting.thaw({ max: 2 })
  await pool.query('SELECT 1')
  setting.proxy.loseNextRequest({ containing: 'fenced' })
  for (let tries = 0; tries < 4; tries++) setting.proxy.loseNextRequest({ containing: 'pg_terminate_backend' })
  const error = await failure(pool.transaction((client) => client.query(INSERT, ['fenced'])))
  expect(error).toBeInstanceOf(ConnectionLostError)
  expect(error).toMatchObject({ outcome: 'not-executed', code: 'ECONNRESET' })
  expect(error.message).not.toContain('may have been executed')
  expect(error.cause).not.toHaveProperty('outcome')
  expect(await setting.rows('fenced')).toBe(0)
})

test.each([
  ['a schema', 'SET search_path TO tenant, public'],
  ['a role', 'SET ROLE tenant'],
  ['a bound', 'SET statement_timeout = 1'],
  ['read only', 'SET default_transaction_read_only = on'],
])('they are asked where no caller has left %s in its session', async (what, left) => {
  await setting.server.query(`DROP SCHEMA IF EXISTS tenant CASCADE; DROP ROLE IF EXISTS tenant; CREATE SCHEMA tenant; CREATE ROLE tenant`)
  const pool = setting.thaw({ max: 2, trustMillis: 60_000 })
  await pool.createIdempotencyTable()
  await setting.server.query('CREATE TABLE tenant.thaw_idempotency (LIKE thaw_idempotency INCLUDING ALL)')
  for (const kind of ['key', 'transaction']) {
    const token = `${kind} beside ${what}`
    const [first, other] = [await pool.connect(), await pool.connect()]
    await other.query(left)
    first.release()
    const lost = setting.proxy.loseNextAnswer({ containing: kind === 'key' ? token : 'COMMIT' })
    const written =
      kind === 'key'
        ? pool.query({ text: 'INSERT INTO public.ledger VALUES ($1)', values: [token], idempotencyKey: token })
        : pool.transaction((client) => client.query('INSERT INTO public.ledger VALUES ($1)', [token]))
    await lost.struck
    other.release()
    await written
    expect(await setting.rows(token)).toBe(1)
    // Nothing was refused, and asked once more.
    expect(setting.outcomes().at(-1)).toMatchObject({ action: 'resolved', reason: 'committed' })
  }
})
