/**
 * When a transaction takes its snapshot: the questions that Thaw sends along must not take it earlier.
 *
 * What breaks: nothing. In REPEATABLE READ the snapshot is taken by the first query, so a lock is taken before it (https://www.postgresql.org/docs/current/explicit-locking.html). With plain `pg` the
 * transaction sees what was committed while it waited for the lock. So it does with Thaw.
 */

import { expect, test } from 'vitest'
import { INSERT, useSetting } from './setting.ts'

const setting = useSetting()
const LOCK = 'LOCK TABLE ledger IN EXCLUSIVE MODE'

test.each([
  ['SET LOCAL', "SET LOCAL lock_timeout = '60s'"],
  ['another lock', 'LOCK TABLE other IN EXCLUSIVE MODE'],
])('a lock behind %s is older than the snapshot', async (_name, first) => {
  await setting.server.query('TRUNCATE ledger; CREATE TABLE IF NOT EXISTS other ()')
  const holder = await setting.plain().connect()
  await holder.query('BEGIN')
  await holder.query(LOCK)
  const seen = setting.thaw().transaction(
    async (client) => {
      await client.query(first)
      await client.query(LOCK)
      return (await client.query('SELECT token FROM ledger')).rows
    },
    { isolation: 'repeatable read' },
  )
  const waiting = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
  await expect.poll(async () => (await setting.server.query(waiting)).rows[0]?.['n'], { timeout: 10_000 }).toBe(1)
  await holder.query(INSERT, ['committed meanwhile'])
  await holder.query('COMMIT')
  holder.release()
  expect(await seen).toEqual([{ token: 'committed meanwhile' }])
})

test('where the server tells nothing of itself, a transaction that begins with SET, or with a part, is run all the same', async () => {
  await setting.server.query('REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_current_xact_id_if_assigned() FROM PUBLIC')
  await setting.server.query('CREATE ROLE untold; GRANT INSERT ON ledger TO untold')
  const pool = () => setting.thaw({ options: '-c role=untold' })
  await pool().transaction(async (client) => {
    await client.query("SET LOCAL lock_timeout = '60s'")
    await client.query(INSERT, ['untold'])
  })
  await pool().transaction((client) => client.transaction((part) => part.query(INSERT, ['untold'])))
  expect(await setting.rows('untold')).toBe(2)
})
