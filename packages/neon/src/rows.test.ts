/** pg's `rows`, which Neon's driver has, too: an error in one of the portions. */

import { DatabaseError } from '@neondatabase/serverless'
import { expect, test } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { Pool } from './index.ts'

useOneNeon()

test('is told at once, and leaves the connection usable', async () => {
  const pool = new Pool({ connectionString: neon.url, max: 1, keepOnSqlError: true })
  const portions = { text: 'select 1 / (3 - n) as n from generate_series($1::int, 9) n', values: [1], rows: 1 }
  const answers = await Promise.allSettled([pool.query({ ...portions }), pool.query('select 2 as n'), pool.query({ ...portions })])
  expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.rows[0].n : answer.reason.constructor))).toEqual([
    DatabaseError,
    2,
    DatabaseError,
  ])
  const client = await pool.connect()
  await client.query('begin')
  await expect(client.query({ ...portions })).rejects.toThrow(DatabaseError)
  await client.query('rollback')
  client.release()
  const together = await pool.batch([{ ...portions, text: 'select n from generate_series($1::int, 5) n' }, { text: 'select 1' }])
  expect(together.map(({ rows }) => rows.length)).toEqual([5, 1])
  expect(pool.stats().connected).toBe(1)
  await pool.end()
})
