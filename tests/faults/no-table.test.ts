/**
 * A write under a key is lost, and the table of keys is not there, or not this role's: told at once.
 *
 * What breaks: the migration was forgotten, and the first request is lost. No answer says what became of it, and asking for ten seconds does not make the table come. With it, the caller's next try settles it.
 */

import { Pool as NeonPool } from '@thaw/neon'
import type { Pool } from '@thaw/pg'
import { expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { failure, INSERT, useSetting } from './setting.ts'

useOneNeon()

const setting = useSetting({ authentication: 'trust' })
/** It is told in milliseconds. */
const PATIENCE = { timeout: 60_000 }

test.each([
  ['@thaw/pg', () => setting.thaw({ max: 2 }), () => setting],
  [
    '@thaw/neon',
    () => new NeonPool({ connectionString: neon.url, max: 2 }) as unknown as Pool,
    () => ({ server: neon.postgres, proxy: neon.compute }),
  ],
])('%s', PATIENCE, async (driver, create, where) => {
  const { server, proxy } = where()
  await server.query('CREATE TABLE IF NOT EXISTS ledger (token text NOT NULL)')
  const pool = create()
  const token = `no table, ${driver}`
  const write = () => pool.query({ text: INSERT, values: [token], idempotencyKey: token })
  expect(await failure(write())).toMatchObject({ name: 'IdempotencyKeyError', reason: 'no-table' })

  const lost = proxy.loseNextRequest({ containing: `${token}\0` })
  const unknown = await failure(write())
  await lost.struck
  expect(unknown).toMatchObject({ name: 'OutcomeUnknownError', reason: 'key-not-asked' })
  expect(unknown.message).toContain(
    'the table thaw_idempotency, which would tell, is not there. Create it once: await pool.createIdempotencyTable()',
  )

  await pool.createIdempotencyTable()
  expect(await pool.outcome(unknown)).toBe('not-executed')
  expect(await write()).toMatchObject({ rowCount: 1 })
  expect((await server.query('SELECT FROM ledger WHERE token = $1', [token])).rowCount).toBe(1)
  await pool.end()
})
