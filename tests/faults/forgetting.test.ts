/**
 * The table of idempotency keys forgets what has expired, by one write in a hundred, and for roles that may not delete it does not.
 *
 * What breaks: nothing of the network. The application's role was granted what its writes need of the table, and not DELETE. Plain `pg` has no keys. With Thaw every write under a key, and every
 * batch, is stored; one in a hundred used to fail with 42501.
 */

import type { Pool } from '@thaw/pg'
import { createStoppableClock } from '@thaw/testkit'
import { beforeEach, expect, test } from 'vitest'
import { INSERT, useSetting } from './setting.ts'

const setting = useSetting()

/** On this clock each write forgets. */
const clock = { ...createStoppableClock(), random: () => 0 }
const OLD =
  "INSERT INTO thaw_idempotency (key, fingerprint, state, key_time, stored_at) VALUES ('old', 'f', 'done', now() - interval '9 days', now() - interval '9 days')"

beforeEach(async () => {
  await setting.thaw().createIdempotencyTable()
  await setting.server.query('TRUNCATE ledger, thaw_idempotency')
  await setting.server.query(OLD)
})

const write = async (pool: Pool, token: string) => {
  await pool.query({ text: `${INSERT} RETURNING token`, values: [token], idempotencyKey: crypto.randomUUID() })
  await pool.transaction((client) => client.query('SELECT 1'))
  await pool.batch([{ text: INSERT, values: [token] }])
}
const isThere = async () => (await setting.server.query("SELECT FROM thaw_idempotency WHERE key = 'old'")).rowCount

test('what has expired is deleted by a later write', async () => {
  await write(setting.thaw({ clock }), 'owner')
  expect([await setting.rows('owner'), await isThere()]).toEqual([2, 0])
})

test.each([['SELECT, INSERT, UPDATE'], ['SELECT, INSERT']])('a role that has %s only: each write is stored', async (rights) => {
  await setting.server.query(`DROP ROLE IF EXISTS app; CREATE ROLE app LOGIN PASSWORD 'app'`)
  await setting.server.query(`GRANT ALL ON ledger TO app; GRANT ${rights} ON thaw_idempotency TO app`)
  const url = new URL(setting.proxy.urlFor(setting.server.url))
  url.username = 'app'
  url.password = 'app'
  await write(setting.thaw({ connectionString: url.href, clock }), rights)
  expect([await setting.rows(rights), await isThere()]).toEqual([2, 1])
  await setting.server.query('DROP OWNED BY app')
})
