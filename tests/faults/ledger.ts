/** Runs two runtimes under random faults, and holds what their callers were told against the table. */

import { setTimeout as sleep } from 'node:timers/promises'
import { IDEMPOTENCY_SQL } from '@thaw/pg'
import { type PostgresServer, spawnFreezable, startFaultProxy, startPostgres } from '@thaw/testkit'
import type { Driver } from './child.ts'
import type { LedgerEntry, RunOrder, RunReport, Told } from './ledger-child.ts'
import { type Runtime, strike } from './ledger-faults.ts'

export interface LedgerOptions {
  readonly driver: Driver
  readonly seed: number
  readonly faults: number
  /** Only calls that promise to be applied once. */
  readonly once?: boolean
  /** The server itself is spared: then no caller that was promised an outcome may be told that it is unknown. */
  readonly staysUp?: boolean
}

export interface LedgerResult {
  readonly entries: readonly LedgerEntry[]
  /** How often each fault struck. */
  readonly struck: Readonly<Record<string, number>>
  /** Everything that is wrong, one line each. */
  readonly violations: readonly string[]
  /** The tokens that are in the table. */
  readonly stored: readonly string[]
  /** How often callers were told what. */
  readonly told: Readonly<Partial<Record<Told, number>>>
}

const RUNTIMES = 2
/** On a machine too slow for so many during the faults, the rest is made after them. */
const CALLS = 1_200
const CALLERS = 8
/** Fewer places than callers: some always wait. */
const MAX = 6
/**
 * For plain pg long enough to call it hanging; for Thaw beyond the longest that is promised: a COMMIT that falls silent ends by its `query_timeout` (15 s), then the server is asked for 10 s, and the last
 * question has 3 s and a connection of its own.
 */
const CAP_MILLIS: Readonly<Record<Driver, number>> = { pg: 2_000, thaw: 30_000 }
/** What was told to be not executed must still not be there so much later. */
const LATER_MILLIS = 3_000
const FINISH_MILLIS = 120_000

export async function runLedger({ driver, seed, faults, once = false, staysUp = false }: LedgerOptions): Promise<LedgerResult> {
  await using server = await startPostgres({ settings: { max_connections: 100 } })
  await server.query('CREATE TABLE ledger (token text NOT NULL, part int NOT NULL); CREATE TABLE upserts (token text PRIMARY KEY)')
  await server.query(`CREATE TABLE counter AS SELECT 0 AS n; ${IDEMPOTENCY_SQL}`)
  await using stack = new AsyncDisposableStack()
  const runtimes: Runtime[] = []
  for (let index = 1; index <= RUNTIMES; index++) {
    const proxy = stack.use(await startFaultProxy(server))
    const child = stack.use(await spawnFreezable(new URL('./ledger-child.ts', import.meta.url)))
    runtimes.push({ id: `${driver}-${index}`, child, proxy })
  }
  for (const [index, runtime] of runtimes.entries()) await begin(runtime, server, { driver, seed: seed + index, once })
  const struck = await strike({ server, runtimes }, faults, seed, { staysUp })
  // Silence that lasts beyond the schedule is part of the proof: callers that wait in it are served all the same.
  const atLeast = driver === 'pg' ? 0 : CALLS / RUNTIMES
  const finish = ({ child }: Runtime) => child.call<RunReport>('finish', { atLeast }, { timeoutMillis: FINISH_MILLIS })
  const reports = await Promise.all(runtimes.map(finish))
  const entries = reports.flatMap((report) => report.entries)
  const rows = await readTable(server)
  if (driver === 'thaw') await sleep(LATER_MILLIS)
  const later = await readTable(server)
  const violations = [
    ...entries.flatMap((entry) => [...wrong(entry, rows), ...wrong(entry, later).map((line) => `later: ${line}`)]),
    ...(staysUp
      ? entries.filter(isUnkept).map(({ token, kind, says }) => `unknown, though the server stayed up: ${token} (${kind}, ${says})`)
      : []),
    ...reports.flatMap(leaks),
    ...runtimes.flatMap(({ id, child }) => child.uncaught.map(({ error }) => `${id} crashes: ${error.name}: ${error.message}`)),
  ]
  return { entries, struck, violations, stored: [...later.keys()], told: tally(entries) }
}

async function begin(
  { id, child, proxy }: Runtime,
  server: PostgresServer,
  { driver, seed, once = false }: Pick<LedgerOptions, 'driver' | 'seed' | 'once'>,
) {
  const { user, password, database } = server
  const config = { host: proxy.host, port: proxy.port, user, password, database, application_name: id, max: MAX }
  await child.call('begin', { driver, config, seed, id, callers: CALLERS, capMillis: CAP_MILLIS[driver], once } satisfies RunOrder)
}

/** Of each token, the parts that are there. */
async function readTable(server: PostgresServer): Promise<ReadonlyMap<string, readonly number[]>> {
  const { rows } = await server.query<{ token: string; parts: number[] }>(
    'SELECT token, array_agg(part ORDER BY part) AS parts FROM (TABLE ledger UNION ALL SELECT token, 0 FROM upserts) AS written GROUP BY token',
  )
  return new Map(rows.map(({ token, parts }) => [token, parts]))
}

const TWO_PARTS: readonly LedgerEntry['kind'][] = ['transaction', 'whole', 'batch', 'onceBatch', 'keyedBatch']

/** Everything that the ledger calls in that run promises it: the table of keys is there. */
function isUnkept({ told }: LedgerEntry): boolean {
  return told === 'unknown'
}

const READS: readonly LedgerEntry['kind'][] = ['read', 'rows']

function wrong({ token, kind, told, millis, says = '' }: LedgerEntry, rows: ReadonlyMap<string, readonly number[]>): string[] {
  const parts = rows.get(token) ?? []
  const whole = TWO_PARTS.includes(kind) ? '1,2' : '0'
  const name = `${token} (${kind}, told ${told} after ${millis} ms, stored ${parts.length}${says && `, ${says}`})`
  if (told === 'hangs') return [`hangs: ${name}`]
  // Nothing in the schedule makes the server refuse a statement.
  if (told === 'untyped' || told === 'server') return [`not told what became of it: ${name}`]
  if (READS.includes(kind)) return told === 'ok' || told === 'not-executed' || told === 'harmless' ? [] : [`a read, but: ${name}`]
  if (parts.length > 0 && parts.join() !== whole) return [`doubled or half: ${name}`]
  if ((told === 'ok' || told === 'executed') && parts.length === 0) return [`told done, but is not there: ${name}`]
  if ((told === 'not-executed' || told === 'harmless') && parts.length > 0) return [`told not executed, but is there: ${name}`]
  return []
}

function leaks({ last, total, idle, waiting }: RunReport): string[] {
  const failed = last.filter(({ told }) => told !== 'ok').map(({ millis, says }) => `${says} after ${millis} ms`)
  if (failed.length === 0 && idle === total && waiting === 0) return []
  return [
    `places lost: of ${MAX} callers at once ${failed.length} got none (${failed}); ${total} connections, ${idle} idle, ${waiting} waiting`,
  ]
}

export function tally(entries: readonly LedgerEntry[]): Partial<Record<Told, number>> {
  const counts: Partial<Record<Told, number>> = {}
  for (const { told } of entries) counts[told] = (counts[told] ?? 0) + 1
  return counts
}
