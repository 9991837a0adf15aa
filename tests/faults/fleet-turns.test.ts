/** Runtimes that call often enough to keep their sessions, on a server that has too few: each gets its turn. */

import { setTimeout as sleep } from 'node:timers/promises'
import { type LambdaContext, withThaw } from '@thaw/lambda'
import { Pool } from '@thaw/pg'
import { type PostgresServer, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, expect, test, vi } from 'vitest'

const SESSIONS = 6
const RUNTIMES = 10
/** What each runtime does between two calls. Much less than the lease: its session is never idle for long enough to be ended. */
const THINK_MILLIS = 200
const PATIENCE = { timeout: 20_000, interval: 20 }

let server: PostgresServer
/** Not a superuser, for whom three sessions are kept. */
const url = (host = server.host) => `postgres://app:app@${host}:${server.port}/postgres`
const member = (sessions?: number, host?: string) =>
  new Pool({
    connectionString: url(host),
    max: 1,
    idleTimeoutMillis: 0,
    connectionTimeoutMillis: 30_000,
    fleet: { name: 'warm', sessions },
  })

beforeAll(async () => {
  server = await startPostgres({ settings: { max_connections: SESSIONS + 3 } })
  await server.query("create role app login password 'app'")
  await server.query('create table turns (id int)')
  await server.query('grant insert on turns to app')
})
beforeEach(() =>
  vi.waitFor(async () => {
    const { rows } = await server.query<{ count: string }>("select count(*)::text from pg_stat_activity where usename = 'app'")
    expect(rows[0]?.count).toBe('0')
  }, PATIENCE),
)
afterAll(() => server.close())

test('runtimes that call all the time do not keep the others out', { timeout: 90_000 }, async () => {
  // Also where a goal is nearer than the limit at which the server refuses.
  const pools = Array.from({ length: RUNTIMES }, () => member(SESSIONS - 1))
  const answers = pools.map(() => 0)
  const isOver = () => answers.every((count) => count >= 2)
  const failures: unknown[] = []
  await Promise.all(
    pools.map(async (pool, i) => {
      while (!isOver() && failures.length === 0) {
        await pool.query('select 1').then(
          () => (answers[i] = (answers[i] ?? 0) + 1),
          (error) => failures.push(error),
        )
        await sleep(THINK_MILLIS)
      }
    }),
  )
  expect(failures).toEqual([])
  expect(pools.reduce((all, pool) => all + (pool.stats().fleet?.yielded ?? 0), 0)).toBeGreaterThan(0)
  await Promise.all(pools.map((pool) => pool.end()))
})

test('runtimes whose sessions are never idle give them up, too: each newcomer is served', { timeout: 90_000 }, async () => {
  const warm = Array.from({ length: SESSIONS }, () => member())
  await Promise.all(warm.map((pool) => pool.query('select 1')))
  let isOver = false
  const loops = warm.map(async (pool) => {
    // Two callers at a time: one of them waits whenever the connection is released.
    const call = async () => {
      while (!isOver) await pool.query('insert into turns select 1 from pg_sleep(0.01)')
    }
    await Promise.all([call(), call()])
  })
  const newcomers = Array.from({ length: 2 }, () => member())
  const answers = Promise.all(newcomers.map((pool) => pool.query('select 1')))
  await answers.finally(() => {
    isOver = true
  })
  await Promise.all(loops)
  expect(warm.reduce((all, pool) => all + (pool.stats().fleet?.yielded ?? 0), 0)).toBeGreaterThan(0)
  await Promise.all([...warm, ...newcomers].map((pool) => pool.end()))
})

test('where there is room for all, each keeps its session', async () => {
  const pools = Array.from({ length: SESSIONS / 2 }, () => member())
  for (let round = 0; round < 3; round++) {
    await Promise.all(pools.map((pool) => pool.query('select 1')))
    await sleep(THINK_MILLIS)
  }
  for (const pool of pools) expect(pool.stats()).toMatchObject({ connected: 1, fleet: { yielded: 0 } })
  await Promise.all(pools.map((pool) => pool.end()))
})

test.each([
  ['that has found it full', '127.0.0.1', 2],
  // At an address that is not known to be PostgreSQL itself, the look goes out behind the first statement.
  ['that was refused, and whose look has not been answered', 'localhost', 1],
])('an invocation that ends does not take a session of a full server into the freeze: one %s', async (_which, host, statements) => {
  const strangers = Array.from({ length: SESSIONS }, () => new pg.Client({ connectionString: url() }))
  for (const stranger of strangers) await stranger.connect()
  const pool = member(undefined, host)
  const refused = new Promise<void>((resolve) => pool.subscribe((event) => event.type === 'retried' && resolve()))
  const handler = withThaw(async (_event: unknown, _context: LambdaContext) => {
    for (let i = 1; i < statements; i++) await pool.query('select 1')
    return (await pool.query('select 2')).rowCount
  })
  const context = { awsRequestId: 'one', getRemainingTimeInMillis: () => 60_000 } as LambdaContext
  const answer = handler({}, context)
  await refused
  await strangers.pop()?.end()
  expect(await answer).toBe(1)
  // In the same turn: there may not be another one before the freeze.
  expect(pool.totalCount).toBe(0)
  expect(pool.stats()).toMatchObject({ connected: 1, fleet: { yielded: 1 } })
  await Promise.all([pool.end(), ...strangers.map((stranger) => stranger.end())])
})

test('a newcomer that was refused does not retry at once: it has no advantage over runtimes that have waited longer', async () => {
  const strangers = Array.from({ length: SESSIONS }, () => new pg.Client({ connectionString: url() }))
  for (const stranger of strangers) await stranger.connect()
  const pauses: number[] = []
  const pools = Array.from({ length: 8 }, () => member())
  for (const pool of pools) {
    const stop = pool.subscribe((event) => {
      if (event.type !== 'retried') return
      pauses.push(event.delayMillis)
      stop()
    })
    pool.query('select 1').catch(() => {})
  }
  await vi.waitFor(() => expect(pauses).toHaveLength(pools.length), PATIENCE)
  // At random between 0 and 640 ms, instead of between 0 and 10.
  expect(Math.max(...pauses)).toBeGreaterThan(20)
  await Promise.all(strangers.map((stranger) => stranger.end()))
  await Promise.all(pools.map((pool) => pool.end({ timeoutMillis: 0 })))
})
