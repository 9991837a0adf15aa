/** A Vercel function with one or two pools, made as the test says. It does what the path of a request names. */

import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool as ThawPool } from '@thaw/pg'
import { createStoppableClock } from '@thaw/testkit'
import { attachPool, invocation, withThaw } from '@thaw/vercel'
import { attachDatabasePool } from '@vercel/functions'
import pg from 'pg'

/** How to make the function: in the environment variable `SETUP`. */
export interface Setup {
  readonly driver: 'pg' | 'thaw'
  readonly pools: readonly pg.PoolConfig[]
  /** Who closes idle connections before the instance is suspended. Default: nobody. */
  readonly drain?: 'attachPool' | 'attachDatabasePool'
  readonly isWrapped?: boolean
  /** Thaw reads a clock that can be stopped. */
  readonly ownClock?: boolean
  /** Wait after the first query of the module, as a warm-up at the start does. */
  readonly warmUp?: boolean
  /** The application listens for SIGTERM itself. */
  readonly farewell?: boolean
}

/** What became of a call. */
export interface Report {
  readonly ended: 'ok' | 'failed' | 'hangs'
  readonly kind?: string
  readonly message?: string
}

const CAP_MILLIS = 3_000

const setup = JSON.parse(process.env['SETUP'] ?? '') as Setup
const clock = setup.ownClock ? createStoppableClock() : undefined
const pools = setup.pools.map((config) => (setup.driver === 'pg' ? new pg.Pool(config) : new ThawPool({ ...config, clock })))
for (const pool of pools) {
  if (setup.driver === 'pg') pool.on('error', () => {})
  if (setup.drain === 'attachPool') attachPool(attachPool(pool))
  if (setup.drain === 'attachDatabasePool') attachDatabasePool(pool)
}
const [pool = new pg.Pool()] = pools
if (setup.warmUp) await pool.query('SELECT 1')
if (setup.farewell) {
  process.once('SIGTERM', async () => {
    await sleep(50)
    console.log('farewell')
    process.exit(7)
  })
}

async function report(work: Promise<unknown>): Promise<Report> {
  const cap = new AbortController()
  const hangs = sleep(CAP_MILLIS, { ended: 'hangs' } as const, { signal: cap.signal }).catch(() => ({ ended: 'hangs' }) as const)
  const done = work.then(
    () => ({ ended: 'ok' }) as const,
    (error: Error & { kind?: string }) => ({ ended: 'failed', message: error.message, ...(error.kind && { kind: error.kind }) }) as const,
  )
  return Promise.race([done, hangs]).finally(() => cap.abort())
}

const ACTIONS: Readonly<Record<string, (query: URLSearchParams) => unknown>> = {
  /** One query on each pool named, in that order. */
  async use(query) {
    for (const index of (query.get('pools') ?? '0').split(',')) await pools[Number(index)]?.query('SELECT 1')
  },
  /** So many at once, and one more. */
  async burst(query) {
    clock?.resume()
    const calls = Number(query.get('calls') ?? 1)
    const together = await Promise.all(Array.from({ length: calls }, () => report(pool.query('SELECT 1'))))
    return [...together, await report(pool.query('SELECT 1'))]
  },
  /** From now on, until the next burst, the monotonic clock stands still. */
  stopClock: () => clock?.stop('mono'),
  sleep: async (query) => report(pool.query('SELECT pg_sleep($1)', [query.get('seconds')])),
  async echo(query) {
    const before = invocation()?.id
    const { rows } = await pool.query('SELECT $1::text AS value FROM pg_sleep(0.01)', [query.get('value')])
    return { value: rows[0]?.value, before, after: invocation()?.id, deadlineAt: invocation()?.deadlineAt }
  },
  async leak() {
    await pool.connect()
  },
  async leakInTransaction(query) {
    const client = await pool.connect()
    await client.query('BEGIN')
    await client.query('INSERT INTO notes VALUES ($1)', [query.get('note')])
  },
  async releaseInTransaction(query) {
    const client = await pool.connect()
    await client.query('BEGIN')
    await client.query('INSERT INTO notes VALUES ($1)', [query.get('note')])
    client.release()
  },
  unawaited(query) {
    pool.query('INSERT INTO notes SELECT $1::text FROM pg_sleep(0.2)', [query.get('note')]).catch((error) => console.error(error.message))
  },
  /** Holds every place of the pool until the platform ends the invocation. */
  async waitForPlace() {
    const clients = await Promise.all(Array.from({ length: pool.options.max }, () => pool.connect()))
    const report_ = await report(pool.query('SELECT 1'))
    for (const client of clients) client.release()
    return report_
  },
  async hang() {
    await pool.connect()
    await new Promise(() => {})
  },
  end: () => pool.end(),
  counts: () => ({
    total: pool.totalCount,
    idle: pool.idleCount,
    listeners: [pool.listenerCount('release'), process.listenerCount('SIGTERM')],
  }),
}

async function handler(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://instance')
  const answer = await ACTIONS[pathname.slice(1)]?.(searchParams)
  response.setHeader('content-type', 'application/json')
  response.end(JSON.stringify(answer ?? null))
}

const exported: typeof handler = setup.isWrapped ? withThaw(handler, { deadlineMarginMillis: 200 }) : handler
export default exported
