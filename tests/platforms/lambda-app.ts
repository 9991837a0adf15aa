/** The function under test, on plain `pg` or on Thaw. The emulator loads it, and freezes it for real. */

import { once } from 'node:events'
import { existsSync } from 'node:fs'
import type { Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { invocation, registerShutdown, withThaw } from '@thaw/lambda'
import { Pool as ThawPool } from '@thaw/pg'
import { createStoppableClock } from '@thaw/testkit'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import pg from 'pg'

declare const awslambda: { streamifyResponse<Handler>(handler: Handler): Handler }

type Task =
  | 'write'
  | 'parse'
  | 'leak'
  | 'forget'
  | 'end'
  | 'hold'
  | 'leakBesideHolder'
  | 'writeSlowly'
  | 'writeTooLate'
  | 'readTogether'
  | 'nest'

/** What a test wants of one invocation. */
export interface Order {
  readonly do?: Task
  readonly token?: string
  /** What Thaw's clocks have seen pass since the last invocation. Default: as long as it really was. */
  readonly passed?: { readonly wallMillis: number; readonly monoMillis: number }
  /** The monotonic clock stands still until the next invocation. */
  readonly stopMono?: boolean
}

interface Context {
  readonly awsRequestId: string
  getRemainingTimeInMillis(): number
}

/** The longest that `parse` computes. */
const PARSE_MILLIS = 20_000

const isThaw = process.env.DRIVER === 'thaw'
const clock = createStoppableClock()
const config: pg.PoolConfig = {
  connectionString: process.env.DATABASE_URL,
  application_name: process.env.APP ?? '',
  ...(process.env.MAX && { max: Number(process.env.MAX) }),
  // Above all ages here: a connection that is dropped for its age proves nothing about a fault.
  idleTimeoutMillis: 120_000,
}
const pool: pg.Pool = isThaw ? new ThawPool({ ...config, clock }) : new pg.Pool(config)
if (!isThaw) pool.on('error', () => {})
const database = drizzle({ client: pool })
let meeting = () => {}

if (process.env.SHUTDOWN) await registerShutdown(pool, { beforeFreeze: process.env.SHUTDOWN === 'before freeze' })

const WORK: Readonly<Record<Task, (token: string) => Promise<unknown>>> = {
  write: (token: string) => pool.query('INSERT INTO ledger (token) VALUES ($1)', [token]),
  /** Computes before it asks, until there is a file of this name, and lets nothing else happen meanwhile. */
  async parse(file: string) {
    const until = performance.now() + PARSE_MILLIS
    while (!existsSync(file) && performance.now() < until);
    await pool.query('INSERT INTO ledger (token) VALUES ($1)', [file])
  },
  /** Takes a client, writes, and forgets both. */
  async leak(token: string) {
    const client = await pool.connect()
    await client.query('BEGIN')
    await client.query('INSERT INTO ledger (token) VALUES ($1)', [token])
  },
  /** Does not wait for the end of what it has begun, only until the server works on it. */
  async forget(token: string) {
    void pool.query('INSERT INTO ledger (token) SELECT $1::text FROM pg_sleep(0.5)', [token])
    const seen = `SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'INSERT%pg_sleep(0.5)' UNION ALL SELECT FROM ledger WHERE token = $1`
    while ((await pool.query(seen, [token])).rowCount === 0) await sleep(5)
  },
  end: () => pool.end(),
  writeSlowly: (token) => pool.query('INSERT INTO ledger (token) SELECT $1::text FROM pg_sleep(60)', [token]),
  /** Ignores that its time is up. */
  async writeTooLate(token) {
    const { signal } = invocation() ?? {}
    // Nothing else does: AWS's loop ends a process that waits for nothing.
    const keepAlive = setInterval(() => {}, 1_000)
    if (signal && !signal.aborted) await once(signal, 'abort')
    clearInterval(keepAlive)
    await WORK.write(token)
  },
  readTogether: () => Promise.all([1, 2, 3, 4].map((n) => pool.query('SELECT $1::int FROM pg_sleep(0.1)', [n]))),
  /** Uses the pool inside of a transaction, where `transaction` was meant. */
  nest: (token) =>
    database.transaction(async (transaction) => {
      await transaction.execute(sql`INSERT INTO ledger (token) VALUES (${token})`)
      await database.execute(sql`SELECT 1`)
    }),
  async hold(token: string) {
    const client = await pool.connect()
    await new Promise<void>((resolve) => {
      meeting = resolve
    })
    await client.query('INSERT INTO ledger (token) VALUES ($1)', [token])
    client.release()
    return invocation()?.id
  },
  async leakBesideHolder(token: string) {
    const client = await pool.connect()
    await client.query('SELECT 1', [])
    setTimeout(meeting, 50)
    return token && invocation()?.id
  },
}

async function work(order: Order, _context: Context): Promise<unknown> {
  const result = await WORK[order.do ?? 'write'](order.token ?? '')
  return typeof result === 'string' ? result : 'done'
}

const margin = process.env.MARGIN ? { deadlineMarginMillis: Number(process.env.MARGIN) } : {}
const served = isThaw && !process.env.UNWRAPPED ? withThaw(work, { clock, ...margin }) : work

export async function handler(order: Order, context: Context): Promise<unknown> {
  clock.resume()
  clock.addWall(order.passed?.wallMillis ?? 0)
  clock.subtractMono(-(order.passed?.monoMillis ?? 0))
  try {
    return await served(order, context)
  } finally {
    if (order.stopMono) clock.stop('mono')
  }
}

async function answerInPieces(_order: Order, response: Writable, _context: Context): Promise<void> {
  for (const n of [1, 2, 3]) {
    const { rows } = await pool.query('SELECT $1::int AS n', [n])
    response.write(`${rows[0].n} `)
  }
  // Returns before the stream has ended: the last piece needs the database.
  void pool.query('SELECT 4 AS n').then(({ rows }) => response.end(`${rows[0].n} in ${invocation()?.id ? 'scope' : 'the void'}`))
}
export const stream: typeof answerInPieces = withThaw(awslambda.streamifyResponse(answerInPieces))
