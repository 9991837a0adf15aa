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
