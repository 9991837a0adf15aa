/**
 * A transaction that sets its role first, as for row level security, and loses the answer to COMMIT.
 *
 * What breaks: only the answer. The role may not see in `pg_stat_activity` when its own session began. With plain `pg` no client can know whether it is stored. With Thaw it is stored once.
 */

import { beforeAll, expect, test } from 'vitest'
import { INSERT, useSetting } from './setting.ts'

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
