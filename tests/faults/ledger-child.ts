/** One runtime of the ledger test: makes calls without end on one pool, and notes what each caller was told. */

import { ThawError, Pool as ThawPool } from '@thaw/pg'
import { createSeededRandom, serve } from '@thaw/testkit'
import pg from 'pg'
import { fillPool, readToken, transactionByHand } from './by-hand.ts'
import type { Driver } from './child.ts'
import { ONCE_CALLS, ONCE_SHARES, type OnceKind } from './ledger-once-calls.ts'
import { patience } from './patience.ts'

/** How to run. */
export interface RunOrder {
  readonly driver: Driver
  readonly config: pg.PoolConfig
  readonly seed: number
  /** Begins each token. */
  readonly id: string
  /** So many calls at once. */
  readonly callers: number
  /** A call that has not ended by then is reported as hanging, and left to itself. Counted as far as the process itself gets time. */
  readonly capMillis: number
  /** Only what Thaw has for writes that must be applied once. */
  readonly once?: boolean
}

export type LedgerKind =
  | 'extended'
  | 'named'
  | 'simple'
  | 'slow'
  | 'bounded'
  | 'several'
  | 'idempotent'
  | 'transaction'
  | 'held'
  | 'chain'
  | 'early'
  | 'listener'
  | 'read'
  | 'rows'
  | OnceKind

/** `ok`; the outcome that a typed error names; or what an error is that names none. */
export type Told = 'ok' | 'executed' | 'not-executed' | 'unknown' | 'harmless' | 'server' | 'untyped' | 'hangs'

/** What became of one call. */
export interface LedgerEntry {
  readonly token: string
  readonly kind: LedgerKind
  readonly told: Told
  readonly millis: number
  /** When it was called, in milliseconds since the epoch. */
  readonly began: number
  /** Code and message of the error. */
  readonly says?: string
}

export interface RunReport {
  readonly entries: readonly LedgerEntry[]
  /** As many callers at once as there are places, when all was over. */
  readonly last: readonly LedgerEntry[]
  readonly total: number
  readonly idle: number
  readonly waiting: number
}

/** Between two calls of a caller: some find an idle connection that is trusted, some one that is not. */
const MOST_PAUSE_MILLIS = 10
const LONG_PAUSE_MILLIS = 700
const LONG_PAUSE_SHARE = 0.01
/** Longer than all that the pool finds out by itself. */
const LAST_RESORT_MILLIS = 15_000
/** Shorter than some of the slow writes. */
const BOUND_MILLIS = 15

const LOOK_MILLIS = 50
const MOST_LOOKS = 60

const INSERT = 'INSERT INTO ledger VALUES ($1, 0)'
/** Takes about 20 ms, so that faults find it at work. */
const SLOW_INSERT = 'INSERT INTO ledger SELECT $1, 0 FROM (SELECT pg_sleep(random() * 0.04)) AS slow'

const CALLS: Readonly<Record<LedgerKind, (pool: pg.Pool, token: string) => Promise<unknown>>> = {
  extended: (pool, token) => pool.query(INSERT, [token]),
  named: (pool, token) => pool.query({ name: 'put', text: INSERT, values: [token] }),
  simple: (pool, token) => pool.query(`INSERT INTO ledger VALUES ('${token}', 0)`),
  slow: (pool, token) => pool.query(SLOW_INSERT, [token]),
  bounded: (pool, token) => pool.query({ text: SLOW_INSERT, values: [token], query_timeout: BOUND_MILLIS } as pg.QueryConfig),
  several: (pool, token) => pool.query(`SELECT 1; INSERT INTO ledger VALUES ('${token}', 0)`),
  idempotent: (pool, token) =>
    pool.query({ text: 'INSERT INTO upserts VALUES ($1) ON CONFLICT DO NOTHING', values: [token], idempotent: true } as pg.QueryConfig),
  transaction,
  held,
  chain,
  early,
  listener,
  read: (pool, token) => readToken(pool, READ, token),
  ...ONCE_CALLS,
  async rows(pool) {
    const { rows } = await pool.query<{ n: number }>('SELECT n FROM generate_series(1, 2000) AS n')
    if (rows.length !== 2000 || rows.at(-1)?.n !== 2000) throw new Error(`Asked for 2000 rows, but was given ${rows.length}`)
  },
}

const READ = 'SELECT $1::text AS token'

/** Two rows, both or none. */
function transaction(pool: pg.Pool, token: string): Promise<void> {
  return transactionByHand(pool, async (client) => {
    await client.query('INSERT INTO ledger VALUES ($1, 1)', [token])
    await client.query('INSERT INTO ledger VALUES ($1, 2)', [token])
  })
}

/** A client that is kept for a while before its statement. */
async function held(pool: pg.Pool, token: string): Promise<void> {
  const client = await pool.connect()
  try {
    await pause(LONG_PAUSE_MILLIS)
    await client.query(INSERT, [token])
  } finally {
    client.release()
  }
}

/** Two statements that are not awaited before the client is released. */
async function chain(pool: pg.Pool, token: string): Promise<void> {
  const client = await pool.connect()
  const done = readToken(client, READ, token).then(() => client.query(INSERT, [token]))
  client.release()
  await done
}

async function early(pool: pg.Pool, token: string): Promise<void> {
  const client = await pool.connect()
  const done = client.query(SLOW_INSERT, [token])
  client.release()
  await done
}

/** A statement on a client that is being released, by whichever caller had it. */
async function listener(pool: pg.Pool, token: string): Promise<void> {
  const client = await pool.connect()
  await new Promise((resolve, reject) => {
    pool.once('release', (_error, released) => released.query(INSERT, [token]).then(resolve, reject))
    client.release()
  })
}

/** How often each kind is called, of a hundred. */
const SHARES: Readonly<Record<Exclude<LedgerKind, OnceKind>, number>> = {
  extended: 11,
  named: 8,
  simple: 8,
  slow: 10,
  bounded: 4,
  several: 5,
  idempotent: 12,
  transaction: 13,
  held: 1,
  chain: 4,
  early: 4,
  listener: 4,
  read: 12,
  rows: 4,
}

/** So many calls, and no more once the faults are over. Undefined: they are not. */
let enough: number | undefined
let running: Promise<RunReport> | undefined

serve({
  async begin(order: RunOrder) {
    enough = undefined
    const pool = createPool(order)
    // The first batch finds out that the table of keys is there: until then a batch whose answer is lost is unknown. Before any fault: an address that was
    // never reached is soon given up.
    if (order.once) await (pool as ThawPool).batch(['SELECT 1'])
    running = run(pool, order)
    // The parent asks for it later.
    running.catch(() => {})
  },
  finish({ atLeast }: { readonly atLeast: number }) {
    enough = atLeast
    return running
  },
})

function createPool({ driver, config }: RunOrder): pg.Pool {
  // A proxy that swallows everything also swallows the end of a session whose server crashes meanwhile. The server then has no such backend, which
  // proves nothing unless it is known to be the same server (decisions 60 and 156): the statement waits for this bound, which the documents advise, and is told as unknown.
  const pool = driver === 'pg' ? new pg.Pool(config) : new ThawPool({ ...config, query_timeout: LAST_RESORT_MILLIS })
  if (driver === 'pg') pool.on('error', () => {})
  return pool
}

async function run(pool: pg.Pool, { driver, seed, id, callers, capMillis, once = false }: RunOrder): Promise<RunReport> {
  const random = createSeededRandom(seed)
  const entries: LedgerEntry[] = []
  let count = 0
  const callOn = async () => {
    while (enough === undefined || count < enough) {
      const kind = draw(random(), once ? ONCE_SHARES : SHARES)
      const token = `${id}-${++count}`
      entries.push(await note(token, kind, capMillis, CALLS[kind](pool, token)))
      await pause(random() < LONG_PAUSE_SHARE ? LONG_PAUSE_MILLIS : random() * MOST_PAUSE_MILLIS)
    }
  }
  await Promise.all(Array.from({ length: callers }, callOn))
  const last = await fillPool(pool, (caller) => note('', 'read', capMillis, caller))
  // A connection that is asked whether it lives may have another one beside it for a second: that is no place lost.
  for (let looks = 0; looks < MOST_LOOKS && pool.idleCount !== pool.totalCount; looks++) await pause(LOOK_MILLIS)
  const { totalCount: total, idleCount: idle, waitingCount: waiting } = pool
  const end = pool instanceof ThawPool ? pool.end({ timeoutMillis: 1000 }) : pool.end()
  // Plain pg waits for clients that hang.
  if (driver === 'thaw') await end
  return { entries, last, total, idle, waiting }
}

function draw(point: number, shares: Readonly<Partial<Record<LedgerKind, number>>>): LedgerKind {
  let rest = point * 100
  for (const [kind, share] of Object.entries(shares)) {
    rest -= share
    if (rest < 0) return kind as LedgerKind
  }
  return 'extended'
}

async function note(token: string, kind: LedgerKind, capMillis: number, call: Promise<unknown>): Promise<LedgerEntry> {
  const start = performance.now()
  const began = Date.now()
  const done = call.then(
    () => ({ told: 'ok' as const }),
    (error: Error & { code?: string }) => ({ told: toldBy(error), says: `${error.code ?? error.name}: ${error.message}` }),
  )
  let isOver = false
  const end = await Promise.race([done, patience(capMillis, () => isOver).then((told) => ({ told }))])
  isOver = true
  return { token, kind, began, millis: Math.round(performance.now() - start), ...end }
}

function toldBy(error: Error): Told {
  if (error instanceof pg.DatabaseError) return 'server'
  if (!ThawError.is(error)) return 'untyped'
  const { kind, outcome, reason } = error as ThawError & { outcome?: 'executed' | 'not-executed' | 'unknown'; reason?: string }
  if (kind === 'connection-lost' && reason === 'read') return 'harmless'
  // All others say of themselves that nothing was sent, or nothing remains.
  return outcome ?? 'not-executed'
}

function pause(millis: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, millis).unref())
}
