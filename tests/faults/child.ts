/** The process under test: one pool at a time, plain or Thaw's, told by the parent what to do. It is really frozen. */

import { Pool as ThawPool } from '@thaw/pg'
import { createStoppableClock, type FlakyDns, failDns, type StoppableClock, serve } from '@thaw/testkit'
import pg from 'pg'
import { fillPool, readToken, transactionByHand } from './by-hand.ts'

export type Driver = 'pg' | 'thaw'
export type Kind = 'read' | 'write' | 'transaction'

/** How to make the pool. */
export interface OpenOrder {
  readonly driver: Driver
  readonly config: pg.PoolConfig
  /** Connections to have idle afterwards. */
  readonly idle: number
  /** Thaw's clock can be stopped and set. Default: the system's. */
  readonly ownClock: boolean
  /** node-postgres tells users to listen. Default: they do. */
  readonly listens?: boolean
}

/** What the process's clocks do while it is silent. */
export interface Silence {
  readonly wallMillis: number
  readonly monoMillis: number
  /** From now until the next burst. */
  readonly stopMono: boolean
}

/** Calls to make: all at once, but for the last, which comes when the others have ended. */
export interface BurstOrder {
  readonly kind: Kind
  readonly tokens: readonly string[]
  /** Each statement reads this table, and so waits for its lock. Default: one that is never locked. */
  readonly gate?: string
  /** A call that has not ended by then is reported as hanging, and left to itself. */
  readonly capMillis: number
}

/** What became of one call. */
export interface CallReport {
  readonly token: string
  readonly ended: 'ok' | 'failed' | 'hangs'
  readonly millis: number
  readonly code?: string | undefined
  readonly message?: string | undefined
  /** What the caller was told of a statement that lost its connection. */
  readonly outcome?: string | undefined
}

/** The pool when all is over, and `max` callers at once have come and gone. */
export interface Audit {
  readonly total: number
  readonly idle: number
  readonly waiting: number
  /** So many of them got a connection that answered. */
  readonly acquired: number
}

/** After so many turns of the event loop without news the kernel's list of sockets that are ready is empty. */
const QUIET_TURNS = 3

let pool: pg.Pool
let clock: StoppableClock | undefined
let dns: FlakyDns | undefined
let flying: Promise<CallReport[]> | undefined

/** Between two looks at what is still being opened. */
const SETTLE_MILLIS = 5

serve({
  async open({ driver, config, idle, ownClock, listens = true }: OpenOrder) {
    clock = ownClock ? createStoppableClock() : undefined
    pool = driver === 'pg' ? new pg.Pool(config) : new ThawPool({ ...config, clock })
    if (driver === 'pg' && listens) pool.on('error', () => {})
    const clients = await Promise.all(Array.from({ length: idle }, () => pool.connect()))
    for (const client of clients) client.release()
    // On a busy machine Thaw dials beside what is late.
    while (pool.totalCount > idle || pool.idleCount < pool.totalCount) {
      if (pool.idleCount > idle) (await pool.connect()).release(true)
      else await new Promise((resolve) => setTimeout(resolve, SETTLE_MILLIS))
    }
  },
  async fallSilent({ wallMillis, monoMillis, stopMono }: Silence) {
    // A socket that was ready in the last turn may come before the request in the first turn after the freeze.
    await readSockets()
    clock?.addWall(wallMillis)
    clock?.subtractMono(-monoMillis)
    if (stopMono) clock?.stop('mono')
  },
  readSockets,
  async burst({ kind, tokens, capMillis }: BurstOrder): Promise<CallReport[]> {
    clock?.resume()
    const call = (token: string) => report(token, capMillis, CALLS[kind](token, OPEN_GATE))
    const together = await Promise.all(tokens.slice(0, -1).map(call))
    return [...together, await call(tokens.at(-1) ?? '')]
  },
  /** From then on it is known to be quick: it may be sent behind others, and others behind it. */
  async teach({ tokens, gate = OPEN_GATE }: BurstOrder) {
    // The first ones on every connection, so that each has been proven lately.
    await Promise.all(tokens.map((token) => CALLS.read(token, gate)))
    for (const token of tokens.slice(0, 3)) await CALLS.read(token, gate)
  },
  launch({ kind, tokens, capMillis, gate = OPEN_GATE }: BurstOrder) {
    flying = Promise.all(tokens.map((token) => report(token, capMillis, CALLS[kind](token, gate))))
  },
  landed: () => flying,
  async audit(capMillis: number): Promise<Audit> {
    const reports = await fillPool(pool, (caller) => report('', capMillis, caller))
    await raceIsOver(capMillis)
    const { totalCount: total, idleCount: idle, waitingCount: waiting } = pool
    return { total, idle, waiting, acquired: reports.filter(({ ended }) => ended === 'ok').length }
  },
  async end(capMillis: number): Promise<CallReport> {
    return report('', capMillis, pool instanceof ThawPool ? pool.end({ timeoutMillis: capMillis / 2 }) : pool.end())
  },
  failDns({ times }: { readonly times: number }) {
    dns = failDns({ host: 'localhost', times })
  },
  dnsFailures: () => dns?.failures,
  /** Whatever the cell has left behind must not disturb the next. */
  discard() {
    dns?.restore()
    flying = undefined
    for (const client of clientsOf(pool)) client.on('error', () => {}).connection.stream.destroy()
  },
})

/** What has arrived by now has been dealt with then. */
async function readSockets(): Promise<void> {
  for (let turn = 0; turn < QUIET_TURNS; turn++) await new Promise((resolve) => setImmediate(resolve))
}

/** A connection attempt that lost its race is closed when it ends. */
async function raceIsOver(capMillis: number): Promise<void> {
  const until = performance.now() + capMillis
  while (pool.totalCount > pool.options.max && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 10))
}

const OPEN_GATE = 'open_gate'
const readBehind = (gate: string) => `SELECT $1::text AS token FROM (SELECT count(*) FROM "${gate}") AS gate`
const writeBehind = (gate: string) => `INSERT INTO ledger (token) ${readBehind(gate)}`

const CALLS: Readonly<Record<Kind, (token: string, gate: string) => Promise<unknown>>> = {
  read: (token, gate) => readToken(pool, readBehind(gate), token),
  write: (token, gate) => pool.query(writeBehind(gate), [token]),
  transaction: (token, gate) =>
    transactionByHand(pool, async (client) => {
      await client.query(writeBehind(gate), [token])
    }),
}

async function report(token: string, capMillis: number, call: Promise<unknown>): Promise<CallReport> {
  const start = performance.now()
  let timer: NodeJS.Timeout | undefined
  const cap = new Promise<'hangs'>((resolve) => {
    timer = setTimeout(() => resolve('hangs'), capMillis)
  })
  const done = call.then(
    () => ({ ended: 'ok' as const }),
    ({ code, name, message, outcome }: Error & { code?: string; outcome?: string }) => ({
      ended: 'failed' as const,
      code,
      message: `${name}: ${message}`,
      outcome,
    }),
  )
  const outcome = await Promise.race([done, cap.then((ended) => ({ ended }))]).finally(() => clearTimeout(timer))
  return { token, millis: Math.round(performance.now() - start), ...outcome }
}

/** pg-pool keeps its clients to itself. */
function clientsOf(from: pg.Pool): (pg.Client & { readonly connection: { readonly stream: { destroy(): void } } })[] {
  return (from as unknown as { _clients: ReturnType<typeof clientsOf> })._clients
}
