/**
 * Reads that ask for settings of their session: Thaw's own transactions have others, and none of them is told.
 *
 * What breaks: the read is late behind one that waits for a lock, or its connection is lost. Plain `pg`, beside it, tells what is set.
 */

import stock from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { createPool, lock, PATIENCE, pool, proxy, server, TEN, untilLocked, useSharingWorld } from '../test/sharing-world.ts'

useSharingWorld()

const COUNT = 'select count(*)::int as n from read_me'
const ASKED: readonly [text: string, values?: string[]][] = [
  ['show statement_timeout'],
  ["select current_setting('statement_timeout') as value"],
  ['select current_setting($1) as value', ['statement_timeout']],
  ['select current_setting($1) as value', ['transaction_read_only']],
  ["select setting from pg_settings where name = 'statement_timeout'"],
  ['SELECT "setting" FROM "pg_catalog"."pg_settings" WHERE name = $1', ['transaction_read_only']],
  ['select current_setting($1) as value, count(*) from read_me', ['statement_timeout']],
]

async function asByPg(text: string, values?: string[]) {
  const plain = new stock.Pool({ connectionString: server.url, max: 1 })
  onTestFinished(() => plain.end())
  return (await plain.query(text, values)).rows
}

test.each(ASKED.slice(0, 6))('behind a read that is blocked: %s %s', PATIENCE, async (text, values) => {
  createPool({ max: 2 })
  for (let turn = 0; turn < 4; turn++) await Promise.all(TEN.map(() => pool.query(text, values)))
  for (let turn = 0; turn < 4; turn++) await pool.query(COUNT)
  const held = await pool.connect()
  const unlock = await lock()
  const head = pool.query(COUNT)
  await untilLocked()
  const asked = Promise.all([1, 2, 3].map(() => pool.query(text, values)))
  held.release()
  const expected = await asByPg(text, values)
  expect((await asked).map(({ rows }) => rows)).toEqual([expected, expected, expected])
  await unlock()
  await head
})

test.each(ASKED)('its connection is lost, and it is sent again: %s %s', PATIENCE, async (text, values) => {
  createPool()
  await pool.query('select 1')
  const expected = await asByPg(text, values)
  void proxy.loseNextAnswer({ containing: 'setting' } as never)
  const { rows } = await pool.query(text, values)
  expect(rows).toEqual(expected)
})
