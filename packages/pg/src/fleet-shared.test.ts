/**
 * A member whose reads share its connection. Each answer proves the session from the time at which its own statement was sent: what comes behind a burst of reads needs no probe, as without
 * sharing, and as with plain pg, which has none.
 */

import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Pool } from './index.ts'

const HALF_WAY_MILLIS = 10
const READ = 'select $1::int as n'

let server: PostgresServer
let proxy: FaultProxy

beforeAll(async () => {
  server = await startPostgres()
  await server.query('create table behind (n int)')
  proxy = await startFaultProxy(server)
})
afterAll(async () => {
  await proxy.close()
  await server.close()
})

const burst = (pool: Pool, reads: number) => Promise.all(Array.from({ length: reads }, (_, n) => pool.query(READ, [n])))

/** From the second on, they go out in one write. */
async function bursts(pool: Pool): Promise<void> {
  for (let i = 0; i < 3; i++) await burst(pool, 3)
}

async function member(share: boolean): Promise<Pool> {
  const pool = new Pool({ connectionString: proxy.urlFor(server.url), max: 1, fleet: 'shared', share, hedge: false })
  await pool.query('select 1')
  proxy.setDelay({ toServerMillis: HALF_WAY_MILLIS, toClientMillis: HALF_WAY_MILLIS })
  // What each text costs is learned, and the login is long ago.
  for (let i = 0; i < 12; i++) await burst(pool, 3)
  await new Promise((resolve) => setTimeout(resolve, 1500))
  return pool
}

async function probesBehindBursts(share: boolean): Promise<number> {
  const pool = await member(share)
  const before = pool.stats()
  for (let i = 0; i < 5; i++) {
    await bursts(pool)
    await pool.query('insert into behind values (1)')
    await bursts(pool)
    const client = await pool.connect()
    await client.query('select 1')
    client.release()
  }
  const after = pool.stats()
  proxy.setDelay({})
  await pool.end()
  return after.probed - before.probed
}

test('nothing behind a burst waits for a probe', async () => {
  // Ten came behind one. A busy machine may be late by itself.
  expect(await probesBehindBursts(true)).toBeLessThan(4)
  expect(await probesBehindBursts(false)).toBeLessThan(4)
})

test('nor behind reads that have shared the connection without a pause for longer than an answer may take', async () => {
  const pool = await member(true)
  const before = pool.stats()
  for (let round = 0; round < 4; round++) {
    const until = performance.now() + 1200
    const reader = async (n: number): Promise<void> => {
      while (performance.now() < until) {
        expect((await pool.query(READ, [n])).rows).toEqual([{ n }])
        // Some are always under way: they are never all at the same time.
        await new Promise((resolve) => setTimeout(resolve, 1 + 3 * n))
      }
    }
    await Promise.all(Array.from({ length: 8 }, (_, n) => reader(n)))
    await pool.query('insert into behind values (2)')
  }
  expect(pool.stats().probed - before.probed).toBeLessThan(3)
  proxy.setDelay({})
  await pool.end()
})
