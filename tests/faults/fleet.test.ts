/** More runtimes than the server has sessions, and no pooler: plain pg, Thaw, and Thaw as a fleet. */

import { Pool as ThawPool } from '@thaw/pg'
import { createSeededRandom, type PostgresServer, spawnFreezable, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import type { FleetTold, FleetWork } from './fleet-child.ts'

const RUNTIMES = 150
const SESSIONS = 40
const AWAKE = 6
const PATIENCE = { timeout: 30_000, interval: 50 }

let server: PostgresServer
/** Not a superuser, for whom three sessions are kept. */
const url = () => `postgres://app:app@${server.host}:${server.port}/postgres`

beforeAll(async () => {
  server = await startPostgres({ settings: { max_connections: SESSIONS } })
  await server.query("create role app login password 'app'")
  await server.query('create table ledger (id text primary key)')
  await server.query("create function note(text) returns void language sql as 'insert into ledger values ($1)'")
  await server.query('grant all on ledger to app')
})
const leaving: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const leave of leaving.splice(0)) await leave()
})
beforeEach(async () => {
  await vi.waitFor(async () => expect(await sessions()).toBe(0), PATIENCE)
  await server.query('truncate ledger')
})
afterAll(() => server.close())

async function sessions(): Promise<number> {
  const { rows } = await server.query<{ count: string }>(
    "select count(*)::text from pg_stat_activity where backend_type = 'client backend' and application_name <> 'thaw-testkit'",
  )
  return Number(rows[0]?.count)
}

/** Whose sessions no member may end. */
async function spared(): Promise<number> {
  const { rows } = await server.query<{ count: string }>(
    "select count(*)::text from pg_stat_activity where application_name like 'fleet:%' and (state <> 'idle' or application_name like '%*')",
  )
  return Number(rows[0]?.count)
}

interface Result {
  readonly done: string[]
  readonly failures: string[]
  readonly pools: readonly (pg.Pool | ThawPool)[]
}

/** So many are awake at once, each another runtime each time, picked at random. Those that sleep stay connected, as frozen functions do. */
async function run(make: () => pg.Pool | ThawPool, calls: number): Promise<Result> {
  const random = createSeededRandom(7)
  const pools = Array.from({ length: RUNTIMES }, make)
  for (const pool of pools) pool.on('error', () => {})
  const result = { done: [] as string[], failures: [] as string[], pools }
  const asleep = new Set(pools.map((_, i) => i))
  let next = 0
  const wake = async () => {
    while (next < calls) {
      const call = next++
      const i = [...asleep][Math.floor(random() * asleep.size)] ?? 0
      asleep.delete(i)
      try {
        result.done.push(...(await use(pools[i] as pg.Pool, `${i}-${call}`, call % 3)))
      } catch (error) {
        result.failures.push((error as { code?: string }).code ?? (error as Error).message)
      }
      asleep.add(i)
    }
  }
  await Promise.all(Array.from({ length: AWAKE }, wake))
  await Promise.all(pools.map((pool) => pool.end()))
  return result
}

async function use(pool: pg.Pool, id: string, kind: number): Promise<string[]> {
  if (kind === 0) await pool.query('select 1')
  if (kind === 0) return []
  if (kind === 1) await pool.query('insert into ledger values ($1)', [id])
  if (kind === 1) return [id]
  const client = await pool.connect()
  try {
    await client.query('begin')
    await client.query('insert into ledger values ($1)', [id])
    await client.query('commit')
  } finally {
    client.release()
  }
  return [id]
}

describe(`${RUNTIMES} runtimes on a server of ${SESSIONS}`, () => {
  test('plain pg: most calls fail', async () => {
    const { failures } = await run(() => new pg.Pool({ connectionString: url(), max: 1, idleTimeoutMillis: 0 }), 300)
    expect(failures.length).toBeGreaterThan(100)
    expect(new Set(failures)).toEqual(new Set(['53300']))
  })

  test('a fleet: none fails, and each write is there once', { timeout: 60_000 }, async () => {
    const { failures, done, pools } = await run(
      () => new ThawPool({ connectionString: url(), max: 1, idleTimeoutMillis: 0, connectionTimeoutMillis: 30_000, fleet: 'orders' }),
      160,
    )
    expect(failures).toEqual([])
    const { rows } = await server.query<{ id: string }>('select id from ledger')
    expect(rows.map(({ id }) => id).sort()).toEqual(done.sort())
    const figures = (pools as ThawPool[]).map((pool) => pool.stats())
    const sum = (of: (stats: (typeof figures)[number]) => number) => figures.reduce((all, each) => all + of(each), 0)
    const [evicted, yielded] = [sum(({ fleet }) => fleet?.evicted ?? 0), sum(({ fleet }) => fleet?.yielded ?? 0)]
    expect(evicted).toBeGreaterThan(0)
    expect(evicted + yielded).toBeGreaterThan(50)
  })
})

describe('a server that is full', () => {
  /** Takes all that is left, but `free`. */
  const strangers = (free: number) => hold(SESSIONS - 3 - free)
  async function hold(count: number): Promise<void> {
    const clients = Array.from({ length: count }, () => new pg.Client({ connectionString: url() }))
    for (const client of clients) client.on('error', () => {})
    leaving.push(() => Promise.allSettled(clients.map((client) => client.end())))
    await Promise.all(clients.map((client) => client.connect()))
  }
  const member = (config: object = {}) => {
    const options = { connectionString: url(), max: 1, idleTimeoutMillis: 0, connectionTimeoutMillis: 20_000, fleet: 'orders' }
    const pool = new ThawPool({ ...options, ...config })
    leaving.push(() => pool.end({ timeoutMillis: 1000 }))
    return pool
  }

  test('the first connection of a runtime is refused, and no member of the fleet is awake: those that sleep end by themselves', async () => {
    await strangers(8)
    const sleepers = Array.from({ length: 4 }, () => member())
    // Each of them sees that others have left little, but not that it is full: they keep their sessions for a while.
    for (const pool of sleepers) await pool.query('select 1')
    await hold(4)
    const refused: unknown[] = []
    const late = member()
    late.subscribe((event) => event.type === 'retried' && refused.push(event.code))
    await late.query("insert into ledger values ('late')")
    expect(refused).toContain('53300')
    for (const pool of [...sleepers, late]) await pool.query('select 1')
  })

  test('a runtime that has a connection looks for room with it', async () => {
    // None of those that sleep has been told to end by itself.
    const sleepers = Array.from({ length: 4 }, () => member())
    for (const pool of sleepers) await pool.query('select 1')
    const awake = member({ max: 2 })
    await awake.query('select 1')
    await strangers(5)
    await vi.waitFor(async () => {
      const { rows } = await server.query<{ fresh: string }>(
        "select count(*)::text as fresh from pg_stat_activity where application_name = 'fleet:orders' and state_change > clock_timestamp() - interval '1.5 seconds'",
      )
      expect(rows[0]?.fresh).toBe('0')
    }, PATIENCE)
    // Its second connection is refused.
    await Promise.all([awake.query('select pg_sleep(0.1)'), awake.query("insert into ledger values ('second')")])
    await Promise.all([awake.query('select pg_sleep(0.1)'), awake.query('select 1')])
    await awake.query('select 1')
    expect(awake.stats().fleet?.evicted).toBeGreaterThan(0)
    for (const pool of sleepers) await pool.query('select 1')
  })

  test('a server that starts up (57P03) is waited for, and all are served', { timeout: 60_000 }, async () => {
    const pools = Array.from({ length: 60 }, () => member({ connectionTimeoutMillis: 40_000 }))
    for (const pool of pools.slice(0, 20)) await pool.query('select 1')
    await server.stop('immediate')
    // A write on a connection that was proven a moment ago is sent without a probe. This is about those that have none.
    await vi.waitFor(() => expect(pools.filter((pool) => pool.totalCount > 0)).toEqual([]), PATIENCE)
    const answers = pools.map((pool, i) => pool.query('insert into ledger values ($1)', [`woken ${i}`]))
    await Promise.all([server.start(), ...answers])
  })
})

test('sessions of the dead are ended, too: processes that were killed while they were frozen', { timeout: 60_000 }, async () => {
  const child = await spawnFreezable(new URL('./fleet-child.ts', import.meta.url))
  leaving.push(() => child.kill())
  const work: FleetWork = { url: url(), runtimes: 20, seed: 1, thinkMillis: 1000 }
  await child.call('start', work)
  await vi.waitFor(async () => expect(await sessions()).toBe(20), PATIENCE)
  const before = await sessions()
  await child.freeze()
  // A member that is at work, or holds its client, is spared. On a slow machine that may be most of them.
  while ((await spared()) > before / 3) {
    await child.thaw()
    await child.freeze()
  }
  const pool = new ThawPool({
    connectionString: url(),
    max: 1,
    idleTimeoutMillis: 0,
    maxUses: 1,
    fleet: { name: 'ledger', sessions: 4 },
  })
  leaving.push(() => pool.end())
  await vi.waitFor(async () => {
    await pool.query('select 1')
    expect(await sessions()).toBeLessThanOrEqual(before / 2)
  }, PATIENCE)
  await child.thaw()
  // And if they live after all, they lose nothing.
  const { failures } = await child.call<FleetTold>('stop')
  expect(failures).toEqual([])
})
