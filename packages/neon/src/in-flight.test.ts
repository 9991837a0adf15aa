/** A connection that falls silent under a statement, over WebSocket, where no address and no port is known. */

import { expect, test } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { Pool } from './index.ts'

useOneNeon()

test('a lost read is sent again, and a slow one beside it is left alone', async () => {
  const pool = new Pool({ connectionString: neon.url, max: 2, probeTimeoutMillis: 200 })
  const slow = pool.query('SELECT pg_sleep(3.5)')
  await expect
    .poll(async () => (await neon.postgres.query("SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")).rowCount)
    .toBe(1)
  await pool.query('SELECT 1')
  const lost = neon.compute.loseNextAnswer({ containing: 'version', cut: 'drop' })
  const read = pool.query('SELECT version() AS v')
  await lost.struck
  expect((await read).rows[0].v).toMatch(/^PostgreSQL/)
  expect((await slow).rowCount).toBe(1)
  await pool.end({ timeoutMillis: 1000 })
})
