/** Many runtimes on few sessions: each of one connection, woken at random, and connected while it sleeps, as a frozen function is. */

import { setTimeout as sleep } from 'node:timers/promises'
import { Pool as ThawPool } from '@thaw/pg'
import { createSeededRandom, type PostgresServer, startFaultProxy, startPgBouncer } from '@thaw/testkit'
import pg from 'pg'
import { gatherPools, gatherProcesses } from './fleet-crowd.ts'
import type { FleetDriver } from './fleet-runtime.ts'

/** What is played. */
export interface FleetCase {
  readonly runtimes: number
  readonly awake: number
  readonly calls: number
  /** Each is a process of its own, and stopped between its calls. */
  readonly areProcesses?: boolean
  /** Sessions that a stranger holds. */
  readonly strangers?: number
  /** Names, to which runtimes belong in turn. */
  readonly fleets?: readonly string[]
  /** The server is restarted in the middle. */
  readonly outage?: boolean
}

/** What came of it. */
export interface FleetResult {
  readonly failed: number
  /** By name and code, and how often. */
  readonly failures: Readonly<Record<string, number>>
  /** Of those, transactions and writes that had begun when the server was stopped. Their callers have been told what became of them. */
  readonly interrupted: number
  readonly calls: number
  readonly p50: number
  readonly p99: number
  readonly seconds: number
  /** The most sessions of runtimes at any time. */
  readonly mostSessions: number
  /** Dials, those that were refused too, for each call. */
  readonly dialsPerCall: number
  /** The most that began in one second. */
  readonly mostDialsPerSecond: number
  readonly evicted: number
  /** Writes that were told to be stored, and are not there. */
  readonly astray: number
  /** Errors that could not be caught: each would have ended its process. */
  readonly crashes: number
}

const INTERRUPTED: ReadonlySet<string> = new Set(['ConnectionLostError', 'OutcomeUnknownError'])

/** Not a superuser, for whom three sessions are reserved. */
const ROLE = 'runtime'
/** How many of a server's sessions are left for the role. */
export const sessionsFor = (most: number): number => most - 3

export async function prepareFleet(server: PostgresServer): Promise<void> {
  await server.query(`create role ${ROLE} login password '${ROLE}'`)
  await server.query(`create table ledger (id text primary key)`)
  await server.query(`grant all on ledger to ${ROLE}`)
}

/** @param sessions how many the role may have. */
export async function playFleet(server: PostgresServer, driver: FleetDriver, sessions: number, played: FleetCase): Promise<FleetResult> {
  const { runtimes, awake, calls, strangers = 0, fleets = ['bench'], outage = false, areProcesses = false } = played
  await server.query('truncate ledger')
  const url = `postgres://${ROLE}:${ROLE}@${server.host}:${server.port}/postgres`
  await using watched = await watchSessions(server)
  await using proxy = await startFaultProxy(server)
  const isBounced = driver === 'PgBouncer'
  const atServer = proxy.urlFor(url)
  await using pooler = isBounced ? await startPgBouncer({ url: atServer }, { sessions: sessions - strangers, clients: 8192 }) : undefined
  const held = Array.from({ length: strangers }, () => new pg.Client({ connectionString: url, application_name: STRANGER }))
  for (const client of held) client.on('error', () => {})
  await Promise.all(held.map((client) => client.connect()))
  const options = { driver, connectionString: pooler?.urlFor(atServer) ?? atServer, sessions }
  const each = Array.from({ length: runtimes }, (_, i) => ({ ...options, fleet: fleets[i % fleets.length] ?? 'bench' }))
  // On this machine alone, an address that has never answered may be a typing error, and is given up soon.
  if (outage) await knowAddress(options.connectionString)
  using crashes = countCrashes()
  const crowd = areProcesses ? await gatherProcesses(each) : gatherPools(each)
  const random = createSeededRandom(runtimes)
  const asleep = Array.from({ length: runtimes }, (_, i) => i)
  const times: number[] = []
  const stored: string[] = []
  const failures: Record<string, number> = {}
  let interrupted = 0
  let next = 0
  let downAt = 0
  const began = performance.now()
  const isTimeUp = () => performance.now() - began > MOST_MILLIS
  const wake = async (): Promise<void> => {
    while (next < calls && !isTimeUp()) {
      const call = next++
      const [i = 0] = asleep.splice(Math.floor(random() * asleep.length), 1)
      const since = performance.now()
      try {
        stored.push(...(await answerOf(crowd.use(i, `${i}-${call}`, call % 3))))
      } catch (error) {
        const { name, code = (error as Error).message } = error as Error & { code?: string }
        failures[`${name} ${code}`] = (failures[`${name} ${code}`] ?? 0) + 1
        if (since < downAt && call % 3 > 0 && INTERRUPTED.has(name)) interrupted++
      }
      times.push(performance.now() - since)
      asleep.push(i)
    }
  }
  let isOver = false
  let mostDialsPerSecond = 0
  const watch = async (): Promise<void> => {
    for (let before = proxy.counters.flowsOpened; !isOver; before = proxy.counters.flowsOpened) {
      await sleep(1000)
      mostDialsPerSecond = Math.max(mostDialsPerSecond, proxy.counters.flowsOpened - before)
    }
  }
  const strike = async (): Promise<void> => {
    while (outage && next < calls / 2 && !isTimeUp()) await sleep(20)
    if (!outage || isTimeUp()) return
    downAt = Number.POSITIVE_INFINITY
    await server.stop('fast')
    downAt = performance.now()
    await sleep(1000)
    await server.start()
  }
  const before = proxy.counters.flowsOpened
  const watching = watch()
  await Promise.all([...Array.from({ length: awake }, wake), strike()])
  const seconds = (performance.now() - began) / 1000
  isOver = true
  await watching
  const dials = proxy.counters.flowsOpened - before
  const evicted = await crowd.evicted()
  await Promise.allSettled(held.map((client) => client.end()))
  await Promise.race([crowd.end(), sleep(5000)])
  const { rows } = await server.query<{ id: string }>('select id from ledger')
  const there = new Set(rows.map(({ id }) => id))
  times.sort((a, b) => a - b)
  return {
    failed: Object.values(failures).reduce((all, one) => all + one, 0),
    failures,
    interrupted,
    calls: times.length,
    p50: times[Math.floor(times.length * 0.5)] ?? 0,
    p99: times[Math.floor(times.length * 0.99)] ?? 0,
    seconds,
    mostSessions: watched.most(),
    dialsPerCall: dials / times.length,
    mostDialsPerSecond,
    evicted,
    astray: stored.filter((id) => !there.has(id)).length,
    crashes: crashes.count(),
  }
}

/** Each of them, and each call of it: one of the peers may wait forever. */
const MOST_MILLIS = 40_000

async function answerOf<Answer>(answer: Promise<Answer>): Promise<Answer> {
  const over = new AbortController()
  const late = sleep(MOST_MILLIS, undefined, { signal: over.signal }).then(() => {
    throw Object.assign(new Error('no answer'), { name: 'NoAnswer', code: `after ${MOST_MILLIS / 1000} s` })
  })
  try {
    return await Promise.race([answer, late])
  } finally {
    late.catch(() => {})
    over.abort()
  }
}

async function knowAddress(connectionString: string): Promise<void> {
  const pool = new ThawPool({ connectionString })
  await pool.query('select 1')
  await pool.end()
}

const STRANGER = 'stranger'
const SAMPLE_MILLIS = 100

/** By a superuser, for whom there is always a session. */
async function watchSessions(server: PostgresServer): Promise<AsyncDisposable & { most(): number }> {
  let most = 0
  let isOver = false
  const watch = async (): Promise<void> => {
    while (!isOver) {
      // There is none while the server is down.
      const counted = await server
        .query<{ sessions: number }>(
          'select count(*)::int as sessions from pg_stat_activity where usename = $1 and application_name <> $2',
          [ROLE, STRANGER],
        )
        .catch(() => undefined)
      most = Math.max(most, counted?.rows[0]?.sessions ?? 0)
      await sleep(SAMPLE_MILLIS)
    }
  }
  const watching = watch()
  return {
    most: () => most,
    async [Symbol.asyncDispose]() {
      isOver = true
      await watching
    },
  }
}

/** A client that throws in a listener ends the process. */
function countCrashes(): Disposable & { count(): number } {
  let count = 0
  const caught = () => {
    count++
  }
  process.on('uncaughtException', caught)
  return { count: () => count, [Symbol.dispose]: () => void process.off('uncaughtException', caught) }
}
