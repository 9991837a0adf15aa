/**
 * Many statements that take long, at once.
 *
 * What breaks: nothing. With plain `pg` the server sees `max` connections. With Thaw it sees one more while it is asked after all of them.
 */

import { expect, test, vi } from 'vitest'
import { useSetting } from './setting.ts'

const setting = useSetting()
const MAX = 8
const COUNT = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name <> 'thaw-testkit' AND backend_type = 'client backend'"

test('one extra connection asks after all of them', async () => {
  const pool = setting.thaw({ max: MAX })
  const slow = Promise.all(Array.from({ length: MAX }, () => pool.query('SELECT pg_sleep(3.2)')))
  let most = 0
  const watching = vi.waitFor(
    async () => {
      most = Math.max(most, Number((await setting.server.query<{ n: number }>(COUNT)).rows[0]?.n))
      if (pool.idleCount < MAX) throw new Error('still at work')
    },
    { timeout: 10_000, interval: 1 },
  )
  await slow
  await watching
  expect(most).toBeLessThanOrEqual(MAX + 1)
  // It was asked, once for all.
  expect(setting.proxy.counters.flowsOpened - MAX).toBe(1)
  expect(setting.outcomes()).toEqual([])
}, 20_000)
