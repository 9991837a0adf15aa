/**
 * Thaw on the oldest PostgreSQL that npm carries, and on two in between: what it sends of its own has to be understood, and what it needs and is not
 * there must not be missed elsewhere. Plain `pg` fails the same faults on each.
 */

import { OutcomeUnknownError, Pool, type PoolConfig } from '@thaw/pg'
import { createStoppableClock, type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { failure } from '../faults/setting.ts'
import { discard } from '../faults/side-by-side.ts'
import { installPostgres } from './old-postgres.ts'

/** A fleet's question needs AS MATERIALIZED, since 12. What became of a transaction's id is told since 13. */
const VERSIONS = [
  { version: '10.23.0-beta.6', hasFleet: false, settles: false },
  { version: '12.22.0-beta.15', hasFleet: true, settles: false },
  { version: '13.23.0-beta.16', hasFleet: true, settles: true },
  { version: '16.14.0-beta.17', hasFleet: true, settles: true },
] as const

let installed: Awaited<ReturnType<typeof installPostgres<(typeof VERSIONS)[number]['version']>>>

beforeAll(async () => {
  installed = await installPostgres(VERSIONS.map(({ version }) => version))
}, 300_000)
afterAll(() => installed?.[Symbol.asyncDispose]())

describe.for(VERSIONS)('PostgreSQL $version', ({ version, hasFleet, settles }) => {
  let server: PostgresServer
  let proxy: FaultProxy
  let pools: Pool[]

  beforeAll(async () => {
    server = await startPostgres({ binaries: await installed.binaries(version) })
    expect(server.version).toBe(version.split('.').slice(0, 2).join('.'))
    await server.query('CREATE TABLE ledger (token text PRIMARY KEY)')
  })
  afterAll(() => server?.close())
  beforeEach(async () => {
    proxy = await startFaultProxy(server)
    pools = []
    await server.query('TRUNCATE ledger')
  })
  afterEach(async () => {
    await Promise.all(pools.map((pool) => pool.end({ timeoutMillis: 1000 })))
    await proxy.close()
  })

  const open = (config: PoolConfig = {}) => {
    const pool = new Pool({ connectionString: proxy.urlFor(server.url), max: 3, idleTimeoutMillis: 0, ...config })
    pools.push(pool)
    return pool
  }
  const stored = async () =>
    (await server.query<{ token: string }>('SELECT token FROM ledger ORDER BY token')).rows.map(({ token }) => token)
  const insert = (token: string) => ({ text: 'INSERT INTO ledger VALUES ($1)', values: [token] })

  test('on pg an idle connection that a NAT has forgotten fails its next use', async () => {
    const pool = new pg.Pool({ connectionString: proxy.urlFor(server.url), max: 1 })
    pool.on('error', () => {})
    await pool.query('SELECT 1')
    proxy.cut('rst-on-next-byte')
    await expect(pool.query('SELECT 1')).rejects.toThrow()
    await discard(pool)
  })

  test('a probe, and one that a read carries, are answered; dead connections are replaced after a thaw', async () => {
    const clock = createStoppableClock()
    const pool = open({ clock, hedge: false })
    const ways: string[] = []
    pool.subscribe((event) => event.type === 'acquired' && ways.push(event.how))
    await pool.query('SELECT 1')
    clock.addWall(1000)
    expect((await pool.query('SELECT 7 AS n')).rows).toEqual([{ n: 7 }])
    clock.addWall(1000)
    await pool.query(insert('probed'))
    expect(ways).toEqual(['new', 'piggybacked', 'probed'])
    for (const kind of ['fin', 'rst', 'rst-on-next-byte'] as const) {
      clock.addWall(60_000)
      expect(proxy.cut(kind)).toBeGreaterThan(0)
      await pool.query(insert(kind))
    }
    expect(await stored()).toEqual(['fin', 'probed', 'rst', 'rst-on-next-byte'])
  })

  test('reads share a connection, each with its own answer', async () => {
    const pool = open({ max: 1 })
    await pool.query('SELECT 1')
    const answers = await Promise.all(Array.from({ length: 20 }, (_, n) => pool.query('SELECT $1::int AS n', [n])))
    expect(answers.map(({ rows }) => rows[0].n)).toEqual(Array.from({ length: 20 }, (_, n) => n))
  })

  test('the answer to a write is lost: its outcome is unknown', async () => {
    const pool = open()
    await pool.query('SELECT 1')
    const lost = proxy.loseNextAnswer({ containing: 'ledger' })
    expect(await failure(pool.query(insert('lost')))).toBeInstanceOf(OutcomeUnknownError)
    await lost.struck
    expect(await stored()).toEqual(['lost'])
  })

  test(`the answer to COMMIT is lost: ${settles ? 'the caller has no error' : 'its outcome is unknown'}, and it is stored once`, async () => {
    const pool = open()
    await pool.transaction((client) => client.query(insert('before')))
    const lost = proxy.loseNextAnswer({ containing: 'COMMIT' })
    const done = pool.transaction((client) => client.query(insert('lost')))
    if (settles) await done
    else expect(await failure(done)).toBeInstanceOf(OutcomeUnknownError)
    await lost.struck
    expect(await stored()).toEqual(['before', 'lost'])
  })

  test('a batch is stored once', async () => {
    const pool = open()
    const results = await pool.batch([insert('a'), insert('b'), 'SELECT count(*)::int AS n FROM ledger'])
    expect(results[2]?.rows).toEqual([{ n: 2 }])
    expect(await stored()).toEqual(['a', 'b'])
  })

  test('an idempotency key applies a write once', async () => {
    const pool = open()
    await pool.createIdempotencyTable()
    for (const _ of [1, 2]) await pool.query({ text: 'INSERT INTO ledger VALUES ($1)', values: ['keyed'], idempotencyKey: 'order-1' })
    expect(await stored()).toEqual(['keyed'])
  })

  test(hasFleet ? 'a fleet ends idle sessions of its own' : 'a fleet says that it cannot be one, and calls go on', async () => {
    const troubles: string[] = []
    const fleet = { name: 'orders', sessions: 2 }
    const join = (config: PoolConfig = {}) => {
      const pool = open({ connectionString: server.url, max: 1, fleet, ...config })
      pool.subscribe((event) => event.type === 'fleetTrouble' && troubles.push(event.reason))
      return pool
    }
    const sessions = async () =>
      (await server.query(`SELECT FROM pg_stat_activity WHERE application_name LIKE '%fleet:orders%'`)).rowCount ?? 0
    for (const _ of [1, 2, 3, 4]) await join().query('SELECT 1')
    const awake = join({ maxUses: 1 })
    await vi.waitFor(
      async () => {
        await awake.query('SELECT 1')
        if (hasFleet) expect(await sessions()).toBeLessThanOrEqual(2)
        else expect(troubles.length).toBeGreaterThan(4)
      },
      { timeout: 30_000, interval: 100 },
    )
    expect(new Set(troubles)).toEqual(new Set(hasFleet ? [] : ['no-function']))
  })

  test('a statement in flight that hangs is ended at the server, at its bound', async () => {
    const pool = open({ max: 1 })
    await expect(pool.query({ text: 'SELECT pg_sleep(60)', query_timeout: 200 } as pg.QueryConfig)).rejects.toMatchObject({
      kind: 'deadline',
    })
    await vi.waitFor(async () => {
      const { rowCount } = await server.query(
        "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()",
      )
      expect(rowCount).toBe(0)
    }, 20_000)
  })
})
