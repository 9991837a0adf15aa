/**
 * A transaction that sets its role first, as for row level security, and loses the answer to COMMIT.
 *
 * What breaks: only the answer. The role may not see in `pg_stat_activity` when its own session began. With plain `pg` no client can know whether it is stored. With Thaw it is stored once.
 */

import { beforeAll, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()

beforeAll(() => setting.server.query('CREATE ROLE tenant; GRANT INSERT ON ledger TO tenant'))

test.each(['loseNextAnswer', 'loseNextRequest'] as const)('%s of COMMIT: stored once', async (lose) => {
  const lost = setting.proxy[lose]({ containing: 'COMMIT' })
  await setting.thaw().transaction(async (client) => {
    await client.query('SET LOCAL ROLE tenant')
    await client.query(INSERT, [lose])
  })
  await lost.struck
  expect(await setting.rows(lose)).toBe(1)
})

test('a key whose row the role does not see, for want of a policy: an error that says so', async () => {
  const { server } = setting
  const owner = setting.thaw()
  await owner.createIdempotencyTable()
  await server.query(`GRANT SELECT, INSERT, UPDATE ON thaw_idempotency TO tenant; ALTER TABLE thaw_idempotency ENABLE ROW LEVEL SECURITY;
    CREATE POLICY adds ON thaw_idempotency FOR INSERT TO tenant WITH CHECK (true)`)
  const pool = setting.thaw({ options: '-c role=tenant' })
  const call = () => pool.query({ text: INSERT, values: ['hidden'], idempotencyKey: 'hidden' })
  await call()
  expect(await failure(call())).toMatchObject({ kind: 'idempotency-key', reason: 'hidden', cause: { code: '23505' } })
  expect(await setting.rows('hidden')).toBe(1)
  await server.query('CREATE POLICY looks ON thaw_idempotency FOR SELECT TO tenant USING (true)')
  expect(await call()).toMatchObject({ repeated: true })
  await server.query('DROP TABLE thaw_idempotency')
})
