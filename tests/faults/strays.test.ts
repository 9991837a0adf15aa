/**
 * A statement that is sent on a client by a caller that has released it: a promise chain that is not awaited, a `release` listener.
 *
 * What breaks: nothing with plain `pg`, which sends the statement behind whatever is under way, and hands each answer to the head of its queue. A pool
 * that hands out such a client as idle, or takes any ReadyForQuery for the answer to its own probe, gives callers each other's rows.
 * With Thaw the connection is not idle until that statement has ended; it is never probed, handed out or closed meanwhile.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { Pool as NeonPool } from '@thaw/neon'
import { Pool as ThawPool } from '@thaw/pg'
import pg from 'pg'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { until } from './until.ts'

useOneNeon()

let pools: pg.Pool[] = []

const DRIVERS = ['pg', '@thaw/pg', '@thaw/neon'] as const

/** Probes what was silent for 10 ms: everything, on a machine that has something else to do. */
function openPool(driver: (typeof DRIVERS)[number], max: number): pg.Pool {
  const config = { max, trustMillis: 10, application_name: 'strays' }
  const pool =
    driver === 'pg'
      ? new pg.Pool({ connectionString: neon.postgres.url, ...config })
      : driver === '@thaw/pg'
        ? new ThawPool({ connectionString: neon.postgres.url, ...config })
        : (new NeonPool({ connectionString: neon.url, ...config }) as unknown as pg.Pool)
  pool.on('error', () => {})
  pools.push(pool)
  return pool
}

async function ask(pool: pg.Pool, name: string): Promise<string> {
  // A write: a read would take its probe along.
  return (await pool.query('insert into callers values ($1) returning name', [name])).rows[0]?.name
}

/** A session waits for the lock. */
async function isWaited(): Promise<boolean> {
  return (await neon.postgres.query(`select from pg_locks where locktype = 'advisory' and not granted`)).rowCount === 1
}

beforeAll(async () => {
  await neon.postgres.query('create table stored (pool text)')
  await neon.postgres.query('create table callers (name text)')
})
afterEach(async () => {
  await Promise.all(pools.map((pool) => pool.end()))
  pools = []
})

describe.each(DRIVERS)('%s', (driver) => {
  // Each ends a little later after the first caller has come: in front of a probe's answer, with it, behind it.
  test.each([0, 2, 4, 6, 8, 10])(
    'a chain that is not awaited goes on after the release, and ends %i ms after the next caller has come',
    async (millis) => {
      const pool = openPool(driver, 2)
      const blocker = new pg.Client(neon.postgres.url)
      await blocker.connect()
      await blocker.query('select pg_advisory_lock(1)')
      const client = await pool.connect()
      const chain = client
        .query('select 1')
        .then(() => client.query('select pg_advisory_lock(1), pg_advisory_unlock(1)'))
        .then(() => client.query('insert into stored values ($1)', [`${driver} ${millis}`]))
      client.release()
      await until('the chain waits for the lock', isWaited)
      await sleep(20)
      const unlocked = sleep(millis).then(() => blocker.query('select pg_advisory_unlock(1)'))
      for (const name of ['Alice', 'Bob', 'Carol', 'Dave']) expect(await ask(pool, name)).toBe(name)
      await unlocked
      await chain
      expect((await neon.postgres.query('select from stored where pool = $1', [`${driver} ${millis}`])).rowCount).toBe(1)
      await blocker.end()
    },
  )

  test('a listener runs a statement on each client that is released', async () => {
    const pool = openPool(driver, 2)
    const told: Promise<unknown>[] = []
    pool.on('release', (_error, client) => void told.push(client.query('select pg_sleep(0.03)')))
    for (let round = 0; round < 5; round++) {
      const names = ['Alice', 'Bob', 'Carol'].map((name) => `${name} ${round}`)
      expect(await Promise.all(names.map((name) => ask(pool, name)))).toEqual(names)
    }
    expect(told).toHaveLength(15)
    await Promise.all(told)
  })
})
