/**
 * Many statements that take long, at once.
 *
 * What breaks: nothing. With plain `pg` the server sees `max` connections. With Thaw it sees one more while it is asked after all of them.
 *
 * If all of them are given up, plain `pg` closes their connections and opens as many for the callers that wait, while the statements run on. Thaw has them
 * stopped, each by a CancelRequest, which takes the place of the statement's connection until the server has heard it.
 */

import net from 'node:net'
import { Pool as NeonPool } from '@thaw/neon'
import type pg from 'pg'
import { describe, expect, test, vi } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { activeBackends, failure, useSetting } from './setting.ts'

useOneNeon()
const setting = useSetting()
const MAX = 8
const COUNT = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name <> 'thaw-testkit' AND backend_type = 'client backend'"

/** All connections run a statement that takes long. Returns how many sessions the server had at most. */
async function mostSessions(pool: pg.Pool, { query }: Pick<typeof setting.server, 'query'>): Promise<number> {
  const slow = Promise.all(Array.from({ length: MAX }, () => pool.query('SELECT pg_sleep(3.2)')))
  let most = 0
  const watching = vi.waitFor(
    async () => {
      most = Math.max(most, Number((await query<{ n: number }>(COUNT)).rows[0]?.n))
      if (pool.idleCount < MAX) throw new Error('still at work')
    },
    { timeout: 50_000, interval: 1 },
  )
  await slow
  await watching
  return most
}

test('one extra connection asks after all of them', async () => {
  expect(await mostSessions(setting.thaw({ max: MAX }), setting.server)).toBeLessThanOrEqual(MAX + 1)
  // It was asked, once for all.
  expect(setting.proxy.counters.flowsOpened - MAX).toBe(1)
  expect(setting.outcomes()).toEqual([])
})

test('one extra connection asks after all of them, on Neon', async () => {
  const pool = new NeonPool({ connectionString: neon.url, max: MAX }) as unknown as pg.Pool
  expect(await mostSessions(pool, neon.postgres)).toBeLessThanOrEqual(MAX + 1)
  await pool.end()
})

const MANY = 20
const SLOW = 'SELECT pg_sleep(60)'

/** A pool, and the most sockets that it had open at once. A proxy sees them close later: the server answers their end when it is no longer at work. */
function counted<P extends pg.Pool>(make: (config: pg.PoolConfig) => P) {
  const sockets: net.Socket[] = []
  const seen = { most: 0, opened: 0 }
  const stream = () => {
    const open = sockets.filter(({ destroyed }) => !destroyed)
    const socket = new net.Socket()
    sockets.splice(0, sockets.length, ...open, socket)
    seen.opened++
    seen.most = Math.max(seen.most, sockets.length)
    return socket
  }
  return { seen, pool: make({ max: MANY, connectionTimeoutMillis: 0, stream }) }
}

/** All places are taken by a statement that is given up, and as many callers wait for them. */
async function giveUpAll(pool: pg.Pool, how: 'released' | 'aborted'): Promise<void> {
  const controller = new AbortController()
  const clients = await Promise.all(Array.from({ length: MANY }, () => pool.connect()))
  const given = clients.map((client) => failure(client.query({ text: SLOW, signal: controller.signal } as pg.QueryConfig)))
  await activeBackends(setting.server, MANY, SLOW)
  const served = Array.from({ length: MANY }, () => pool.query('SELECT 1'))
  if (how === 'aborted') controller.abort()
  for (const client of clients) client.release(true)
  await Promise.all([...given, ...served])
}

describe('twenty that are given up at once, while twenty callers wait', () => {
  test('plain pg leaves them running', async () => {
    const { pool, seen } = counted((config) => setting.plain(config))
    await giveUpAll(pool, 'released')
    expect(seen.most).toBe(MANY)
    await activeBackends(setting.server, MANY, SLOW)
  })

  test.each(['released', 'aborted'] as const)('each is stopped, with one connection more than the pool may have: %s', async (how) => {
    const { pool, seen } = counted((config) => setting.thaw(config))
    await giveUpAll(pool, how)
    await activeBackends(setting.server, 0, SLOW)
    expect(seen.most).toBeLessThanOrEqual(MANY + 1)
    // For the statements, and for a CancelRequest each.
    expect(seen.opened).toBeGreaterThan(2 * MANY)
  })
})
