/**
 * A fleet ends the sessions of members that sleep, and none loses a statement: they are ended under load, as fast as the lease allows, while their owners read, write, hold
 * clients and transactions for seconds, and are frozen at any instruction, between the proof and the statement too.
 *
 * THAW_SEED repeats a schedule; THAW_EVICTIONS says how many sessions are ended, THAW_MINUTES after what time it is enough. `pnpm bench fleet-lease` ends
 * 100,000. A long run also has the server full for a while, again and again: members give sessions up, and sessions end by themselves.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { Pool } from '@thaw/pg'
import { createSeededRandom, type FreezableProcess, type PostgresServer, spawnFreezable, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { FleetTold, FleetWork } from './fleet-child.ts'

const EVICTIONS = Number(process.env['THAW_EVICTIONS'] ?? 300)
const isLong = EVICTIONS > 1000
const MOST_MILLIS = Number(process.env['THAW_MINUTES'] ?? Number.POSITIVE_INFINITY) * 60_000
const PROCESSES = isLong ? 4 : 2
const RUNTIMES = isLong ? 100 : 50
/** The server is full for this long, and then not: members take turns, and their sessions end by themselves. */
const FULL_MILLIS = 3000
const ROOMY_MILLIS = 20_000
const seed = Number(process.env['THAW_SEED'] ?? Math.floor(Math.random() * 1e6))

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres({ settings: { max_connections: 600 }, authentication: 'trust' })
  await server.query('create role runtime login')
  await server.query('grant all on schema public to runtime')
  await server.query('create table ledger (id text primary key)')
  await server.query('grant all on ledger to runtime')
  await server.query("create function note(text) returns void language sql as 'insert into ledger values ($1)'")
})
afterAll(() => server.close())

/** A new member each time: only new connections look. */
async function endSleepers(until: () => boolean): Promise<{ evicted: number; spared: number }> {
  let evicted = 0
  let spared = 0
  while (!until()) {
    const pool = new Pool({ connectionString: server.url, max: 1, fleet: { name: 'ledger', keep: 0 } })
    await pool.query('select 1')
    const { fleet } = pool.stats()
    evicted += fleet?.evicted ?? 0
    spared = Math.max(spared, fleet?.spared ?? 0)
    total = evicted
    await pool.end()
    await sleep(20)
  }
  return { evicted, spared }
}
let total = 0

/** Strangers take all that is left, again and again, for a moment. Returns how often. */
async function fillUp(until: () => boolean): Promise<number> {
  let times = 0
  while (!until()) {
    const strangers: pg.Client[] = []
    for (let isFull = false; !isFull && !until(); ) {
      const client = new pg.Client({ connectionString: runtimeUrl(), application_name: 'stranger' })
      client.on('error', () => {})
      isFull = await client.connect().then(
        () => false,
        () => true,
      )
      if (!isFull) strangers.push(client)
    }
    times++
    await sleep(FULL_MILLIS)
    await Promise.all(strangers.map((client) => client.end()))
    await sleep(ROOMY_MILLIS)
  }
  return times
}

/** Not a superuser, for whom three sessions are reserved: those are for the test itself. */
const runtimeUrl = () => `postgres://runtime@${server.host}:${server.port}/postgres`

/** At random instants, for longer than the lease. */
async function freeze(child: FreezableProcess, random: () => number, until: () => boolean): Promise<number> {
  let count = 0
  while (!until()) {
    await sleep(random() * 1500)
    await child.freeze()
    count++
    await sleep(500 + random() * 2500)
    await child.thaw()
  }
  return count
}

test(`${EVICTIONS} sessions that sleep are ended, and no statement is lost to one`, { timeout: 60_000 + EVICTIONS * 100 }, async () => {
  const random = createSeededRandom(seed)
  const children = await Promise.all(Array.from({ length: PROCESSES }, () => spawnFreezable(new URL('./fleet-child.ts', import.meta.url))))
  try {
    const works = children.map((_, i): FleetWork => ({ url: runtimeUrl(), runtimes: RUNTIMES, seed: seed + i, thinkMillis: 4000 }))
    await Promise.all(children.map((child, i) => child.call('start', works[i])))
    const began = performance.now()
    const isOver = () => total >= EVICTIONS || performance.now() - began > MOST_MILLIS
    const [{ evicted, spared }, filled, ...freezes] = await Promise.all([
      endSleepers(isOver),
      isLong ? fillUp(isOver) : 0,
      // One is never frozen.
      ...children.slice(1).map((child) => freeze(child, random, isOver)),
    ])
    const seconds = Math.round((performance.now() - began) / 1000)
    const told = await Promise.all(children.map((child) => child.call<FleetTold>('stop')))
    const calls: Record<string, number> = {}
    for (const each of told) for (const [what, count] of Object.entries(each.calls)) calls[what] = (calls[what] ?? 0) + count
    const sum = (of: (each: FleetTold) => number) => told.reduce((all, each) => all + of(each), 0)
    console.log(
      `THAW_SEED=${seed}: ${evicted} sessions ended in ${seconds} s, ${freezes.reduce((all, each) => all + each, 0)} freezes, ${sum(({ reconnected }) => reconnected)} connections, ${filled} times full: ${sum((each) => each.yielded)} sessions given up, ${sum((each) => each.endedThemselves)} ended by themselves; at most ${spared} spared; ${JSON.stringify(calls)}`,
    )
    expect(told.flatMap(({ failures }) => failures)).toEqual([])
    const { rows } = await server.query<{ id: string }>('select id from ledger order by id')
    expect(rows.map(({ id }) => id).sort()).toEqual(told.flatMap(({ confirmed }) => confirmed).sort())
    // Each way of using it has met those who end sessions.
    expect(Object.keys(calls)).toHaveLength(12)
    expect(spared).toBeGreaterThan(0)
    if (isLong) expect(sum((each) => each.yielded)).toBeGreaterThan(0)
  } finally {
    await Promise.all(children.map((child) => child.kill()))
  }
})
