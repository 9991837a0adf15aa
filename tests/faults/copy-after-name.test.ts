/**
 * A COPY stream on a connection on which a name has just been closed.
 *
 * What breaks: a prepared read fails, so its name is closed, and the server's CloseComplete comes ahead of the next answer. pg-copy-streams reads the socket
 * by itself, and takes any message that it does not know for its end: no rows, and the rows that come then are uncaught errors in pg. Plain `pg` never
 * closes a name.
 */

import type pg from 'pg'
import { to } from 'pg-copy-streams'
import { expect, test } from 'vitest'
import { useSetting } from './setting.ts'

const setting = useSetting()

async function copied(client: pg.PoolClient): Promise<string> {
  let text = ''
  for await (const chunk of client.query(to(`COPY (SELECT 'me' FROM generate_series(1, 20)) TO STDOUT`))) text += chunk
  return text
}

test.each([
  ['plain pg', () => setting.plain({ max: 1 })],
  ['Thaw, prepared by itself', () => setting.thaw({ max: 1, prepare: 1 })],
] as const)('%s: a failed read, and the caller behind it copies', async (_, create) => {
  const pool = create()
  for (let turn = 0; turn < 3; turn++) await pool.query('SELECT $1::int AS n', [turn])
  const failed = pool.query('SELECT $1::int AS n', ['no number']).catch((error) => error.code)
  const client = await pool.connect()
  expect(await copied(client)).toBe('me\n'.repeat(20))
  client.release()
  expect(await failed).toBe('22P02')
  expect((await pool.query('SELECT $1::int AS n', [5])).rows).toEqual([{ n: 5 }])
})
