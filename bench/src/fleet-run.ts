/** Many runtimes on few sessions: each a pool of one connection, woken at random, and connected while it sleeps, as a frozen function is. */

import { setTimeout as sleep } from 'node:timers/promises'
import { Pool as ThawPool } from '@thaw/pg'
import { createSeededRandom, type PostgresServer, startFaultProxy } from '@thaw/testkit'
import pg from 'pg'

/** What is played. */
export interface FleetCase {
  readonly runtimes: number
  readonly awake: number
  readonly calls: number
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
  /** Of those, transactions and writes under which the server was stopped. Their callers have been told what became of them. */
  readonly interrupted: number
  readonly calls: number
  readonly p50: number
  readonly p99: number
  readonly seconds: number
  /** Dials, those that were refused too, for each call. */
  readonly dialsPerCall: number
  /** The most that began in one second. */
  readonly mostDialsPerSecond: number
  readonly evicted: number
  /** Writes that were told to be stored, and are not there once. */
  readonly astray: number
}

const INTERRUPTED: ReadonlySet<string> = new Set(['ConnectionLostError', 'OutcomeUnknownError'])

type AnyPool = pg.Pool | ThawPool

/** `pg` retries: calls anew every 50 ms, as people do by hand. */
export type FleetDriver = 'pg' | 'pg, retrying' | 'thaw' | 'fleet'

export async function playFleet(server: PostgresServer, driver: FleetDriver, played: FleetCase): Promise<FleetResult> {
  const { runtimes, awake, calls, strangers = 0, fleets = ['bench'], outage = false } = played
  await server.query('create table if not exists ledger (id text primary key)')
  await server.query('truncate ledger')
  await using proxy = await startFaultProxy(server)
  const held = Array.from({ length: strangers }, () => new pg.Client({ connectionString: server.url }))
  for (const client of held) client.on('error', () => {})
  await Promise.all(held.map((client) => client.connect()))
  const connectionString = proxy.urlFor(server.url)
  const options = { connectionString, max: 1, idleTimeoutMillis: 0, connectionTimeoutMillis: 60_000 }
  const pools = Array.from({ length: runtimes }, (_, i): AnyPool => {
    if (driver.startsWith('pg')) return new pg.Pool(options)
    const fleet = fleets[i % fleets.length]
    return new ThawPool(driver === 'fleet' && fleet ? { ...options, fleet } : { ...options, connectionTimeoutMillis: 5000 })
  })
  for (const pool of pools) pool.on('error', () => {})
  const random = createSeededRandom(runtimes)
  const asleep = Array.from({ length: runtimes }, (_, i) => i)
  const times: number[] = []
  const stored: string[] = []
  let failed = 0
  let interrupted = 0
  let next = 0
  const wake = async (): Promise<void> => {
    while (next < calls) {
      const call = next++
      const [i = 0] = asleep.splice(Math.floor(random() * asleep.length), 1)
      const began = performance.now()
      try {
        stored.push(...(await useUntil(driver === 'pg, retrying', pools[i] as AnyPool, `${i}-${call}`, call % 3)))
      } catch (error) {
        failed++
        if (outage && INTERRUPTED.has((error as Error).name)) interrupted++
      }
      times.push(performance.now() - began)
      asleep.push(i)
    }
  }
  let isOver = false
  let mostDialsPerSecond = 0
  const watch = async (): Promise<void> => {
    for (let before = 0; !isOver; before = proxy.counters.flowsOpened) {
      await sleep(1000)
      mostDialsPerSecond = Math.max(mostDialsPerSecond, proxy.counters.flowsOpened - before)
    }
  }
  const strike = async (): Promise<void> => {
    while (outage && next < calls / 2) await sleep(20)
    if (outage) await server.stop('fast')
    if (outage) await sleep(1000)
    if (outage) await server.start()
  }
  const began = performance.now()
  const watching = watch()
  await Promise.all([...Array.from({ length: awake }, wake), strike()])
  const seconds = (performance.now() - began) / 1000
  isOver = true
  await watching
  const dials = proxy.counters.flowsOpened
  const evicted = pools.reduce((all, pool) => all + ('stats' in pool ? (pool.stats().fleet?.evicted ?? 0) : 0), 0)
  await Promise.allSettled(held.map((client) => client.end()))
  await Promise.allSettled(pools.map((pool) => pool.end()))
  const { rows } = await server.query<{ id: string }>('select id from ledger')
  const there = new Set(rows.map(({ id }) => id))
  times.sort((a, b) => a - b)
  return {
    failed,
    interrupted,
    calls,
    p50: times[Math.floor(times.length * 0.5)] ?? 0,
    p99: times[Math.floor(times.length * 0.99)] ?? 0,
    seconds,
    dialsPerCall: dials / calls,
    mostDialsPerSecond,
    evicted,
    astray: stored.filter((id) => !there.has(id)).length,
  }
}

const RETRY_MILLIS = 50
const PATIENCE_MILLIS = 60_000

async function useUntil(retries: boolean, pool: AnyPool, id: string, kind: number): Promise<string[]> {
  const began = performance.now()
  for (;;) {
    try {
      return await use(pool as pg.Pool, id, kind)
    } catch (error) {
      if (!retries || performance.now() - began > PATIENCE_MILLIS) throw error
      await sleep(RETRY_MILLIS)
    }
  }
}

/** A read, a write, a transaction by hand. */
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
