/** A Vercel function with one or two pools, made as the test says. It does what the path of a request names. */

import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { Pool as ThawPool } from '@thaw/pg'
import { createStoppableClock } from '@thaw/testkit'
import { attachPool, invocation, withThaw } from '@thaw/vercel'
import { attachDatabasePool, waitUntil } from '@vercel/functions'
import pg from 'pg'

/** How to make the function: in the environment variable `SETUP`. */
export interface Setup {
  readonly driver: 'pg' | 'thaw'
  readonly pools: readonly pg.PoolConfig[]
  /** What closes idle connections before the instance is suspended. Default: nothing. */
  readonly drain?: 'attachPool' | 'attachDatabasePool'
  readonly isWrapped?: boolean
  /** For `withThaw`. Default 200. */
  readonly deadlineMarginMillis?: number
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

/** An invocation seen from inside. */
const seen = (): { id?: string | undefined; deadlineAt?: number | undefined } => ({
  id: invocation()?.id,
  deadlineAt: invocation()?.deadlineAt,
})
const insert = (note: string | null): [text: string, values: unknown[]] => ['INSERT INTO notes VALUES ($1)', [note]]
let letGo = () => {}
const held = new Promise<void>((resolve) => {
  letGo = resolve
})

const ACTIONS: Readonly<Record<string, (query: URLSearchParams) => unknown>> = {
  /** One query on each pool named, in that order. */
  async use(query) {
    for (const index of (query.get('pools') ?? '0').split(',')) await pools[Number(index)]?.query('SELECT 1')
  },
  /** So many at once, and one more. Each writes a note of its own. */
  async burst(query) {
    clock?.resume()
    // What Thaw's clocks have seen pass while the instance was suspended.
    clock?.addWall(Number(query.get('wallMillis') ?? 0))
    clock?.subtractMono(-Number(query.get('monoMillis') ?? 0))
    const note = (n: number) => report(pool.query(...insert(`${query.get('note')} ${n}`)))
    const calls = Number(query.get('calls') ?? 1)
    const together = await Promise.all(Array.from({ length: calls }, (_, n) => note(n)))
    return [...together, await note(calls)]
  },
  /** From now on, until the next burst, the monotonic clock stands still. */
  stopClock: () => clock?.stop('mono'),
  /** A statement and a transaction of Prisma's client, on the pool. */
  async prisma() {
    // Loaded by who asks for it: it is large.
    const [{ PrismaPg }, { PrismaClient }] = await Promise.all([import('@prisma/adapter-pg'), import('../downstream/prisma-client.ts')])
    const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
    await prisma.$queryRawUnsafe('SELECT 1')
    await prisma.$transaction((transaction) => transaction.$queryRawUnsafe('SELECT 1'))
  },
  sleep: (query) => report(pool.query('INSERT INTO notes SELECT $1::text FROM pg_sleep(60)', [query.get('note')])),
  async echo(query) {
    const before = seen()
    const { rows } = await pool.query('SELECT $1::text AS value FROM pg_sleep(0.01)', [query.get('value')])
    return { value: rows[0]?.value, before, after: seen() }
  },
  /** The same, in node-postgres' older way. */
  echoByCallbacks: (query) =>
    new Promise((resolve, reject) => {
      const before = seen()
      pool.connect((failure, client, release) => {
        if (failure || !client) return reject(failure)
        const connected = seen()
        client.query('SELECT $1::text AS value FROM pg_sleep(0.01)', [query.get('value')], (error, { rows }) => {
          const answered = seen()
          release()
          pool.query('SELECT 1', () =>
            error ? reject(error) : resolve({ value: rows[0]?.value, before, connected, answered, after: seen() }),
          )
        })
      })
    }),
  async leak() {
    await pool.connect()
  },
  async leakInTransaction(query) {
    const client = await pool.connect()
    await client.query('BEGIN')
    await client.query(...insert(query.get('note')))
  },
  async releaseInTransaction(query) {
    const client = await pool.connect()
    await client.query('BEGIN')
    await client.query(...insert(query.get('note')))
    client.release()
  },
  async unawaited(query) {
    // So that there is a connection: nothing can hold the instance for one that is only being made.
    await pool.query('SELECT 1')
    pool.query('INSERT INTO notes SELECT $1::text FROM pg_sleep(0.2)', [query.get('note')]).catch((error) => console.error(error.message))
  },
  /** Goes on with its client when it has been answered. */
  async inBackground(query) {
    const client = await pool.connect()
    const work = async () => {
      await held
      await client.query(...insert(query.get('note')))
      client.release()
    }
    waitUntil(work())
  },
  letGo: () => letGo(),
  /** A pool of this request alone, which is never ended. */
  async ownPool() {
    const own = setup.driver === 'pg' ? new pg.Pool(setup.pools[0]) : new ThawPool(setup.pools[0])
    await own.query('SELECT 1')
  },
  /** Holds every place of the pool, and waits for one more. */
  async waitForPlace() {
    const clients = await Promise.all(Array.from({ length: pool.options.max }, () => pool.connect()))
    const waited = await report(pool.query('SELECT 1'))
    for (const client of clients) client.release()
    return waited
  },
  /** Ignores that its time is up. */
  async afterDeadline(query) {
    const { signal } = invocation() ?? {}
    if (signal && !signal.aborted) await once(signal, 'abort')
    return report(pool.query(...insert(query.get('note'))))
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

async function act(url = '/'): Promise<string> {
  const { pathname, searchParams } = new URL(url, 'http://instance')
  return JSON.stringify((await ACTIONS[pathname.slice(1)]?.(searchParams)) ?? null)
}

async function handler(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const answer = await act(request.url)
  response.setHeader('content-type', 'application/json').end(answer)
}

const exported: typeof handler = setup.isWrapped ? withThaw(handler, { deadlineMarginMillis: setup.deadlineMarginMillis ?? 200 }) : handler
export default exported
