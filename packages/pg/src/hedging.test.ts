/**
 * A connection owes an answer and may be dead, or only slow: a backend that is stopped (SIGSTOP) is the latter, a flow that was dropped the former.
 * Plain pg waits for it for minutes.
 */

import type { ThawEvent } from '@thaw/core'
import stock from 'pg'
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest'
import { proxy, server, useFreshProxy } from '../test/one-server.ts'
import { createTimerClock } from '../test/timer-clock.ts'
import { Pool, type PoolConfig } from './index.ts'

useFreshProxy()

/** Longer than any test: who would wait for it has found no other way. */
const FOREVER_MILLIS = 60_000
/** A second, which is the default, is little on a busy machine. */
const PATIENCE = { timeout: 20_000 }

let pool: Pool
let events: ThawEvent[]
let stopped: number[]
/** Timers of hedges that were set, and that have rung. */
let hedgesSet = 0
let hedgesDue = 0

const clock = createTimerClock()
const { setTimer } = clock
clock.setTimer = (callback, millis, background) => {
  // A long wait looks at the clock every 250 ms. On a slow machine a hedge waits as long, and only its caller tells which it is.
  const isHedge = background === true && (millis < 250 || (millis === 250 && String(new Error().stack).includes('hedging.ts')))
  if (isHedge) hedgesSet++
  return setTimer(() => {
    callback()
    if (isHedge) setImmediate(() => setImmediate(() => setImmediate(() => setImmediate(() => hedgesDue++))))
  }, millis)
}

function createPool(config: PoolConfig = {}): Pool {
  const connectionString = proxy.urlFor(server.url)
  pool = new Pool({
    connectionString,
    max: 1,
    idleTimeoutMillis: 0,
    probeTimeoutMillis: FOREVER_MILLIS,
    piggybackProbe: false,
    clock,
    ...config,
  })
  pool.subscribe((event) => events.push(event))
  return pool
}

async function pidOf(asked: Pool): Promise<number> {
  const { rows } = await asked.query('select pg_backend_pid() as pid')
  return rows[0].pid
}

function stop(pid: number): void {
  process.kill(pid, 'SIGSTOP')
  stopped.push(pid)
}

function resume(): void {
  for (const pid of stopped.splice(0)) process.kill(pid, 'SIGCONT')
}

/** A second in which nothing is heard: long enough to be asked. */
function fallSilent(): void {
  clock.skip(1000)
}

const hedges = () => events.filter((event) => event.type === 'connected' && event.hedge)

beforeEach(async () => {
  clock.reset()
  hedgesSet = 0
  hedgesDue = 0
  events = []
  stopped = []
})
afterEach(async () => {
  resume()
  await pool.end({ timeoutMillis: 1000 })
})

describe('a connection that was silently dropped', () => {
  test('costs the hedge delay and a dial, in a pool of one too; plain pg still waits', async () => {
    const plain = new stock.Pool({ connectionString: proxy.urlFor(server.url), max: 1 })
    plain.on('error', () => {})
    await plain.query('select 1')
    await createPool().query('select 1')
    fallSilent()
    expect(proxy.cut('drop')).toBe(2)
    let isPlainAnswered = false
    const lost = plain.query('select 1').then(
      () => (isPlainAnswered = true),
      () => {},
    )
    await pool.query('insert into pg_temp.none select 1').catch((error: unknown) => expect(error).toMatchObject({ code: '42P01' }))
    expect(hedges()).toHaveLength(1)
    expect(isPlainAnswered).toBe(false)
    proxy.cut('rst')
    await lost
    void plain.end()
  })

  test('is destroyed at the hard stop, and was the only one above the limit', async () => {
    createPool({ probeTimeoutMillis: 300 })
    await pool.query('select 1')
    fallSilent()
    proxy.cut('drop')
    let most = 0
    proxy.onFlow(() => (most = Math.max(most, pool.totalCount)))
    await Promise.all(Array.from({ length: 5 }, () => pool.query('select 1')))
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ stale: 1, total: 1, connected: 2 }), PATIENCE)
    expect(most).toBe(2)
  })

  test('ten of them: one connection above the limit serves every caller until the hard stop', async () => {
    createPool({ max: 10 })
    const clients = await Promise.all(Array.from({ length: 10 }, () => pool.connect()))
    for (const client of clients) client.release()
    fallSilent()
    expect(proxy.cut('drop')).toBe(10)
    const before = proxy.counters.flowsOpened
    await Promise.all(Array.from({ length: 50 }, () => pool.query('select 1')))
    expect(proxy.counters.flowsOpened - before).toBe(1)
    expect(pool.stats()).toMatchObject({ total: 11, stale: 0 })
  })
})

describe('a connection that is slow', () => {
  test('and answers after the dial is kept where there is room', async () => {
    createPool({ max: 2 })
    stop(await pidOf(pool))
    fallSilent()
    await pool.query('select 1')
    expect(hedges()).toHaveLength(1)
    resume()
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ probed: 1, total: 2, idle: 2, stale: 0 }), PATIENCE)
  })

  test('and answers after the dial is ended where there is none', async () => {
    createPool()
    stop(await pidOf(pool))
    fallSilent()
    const removed = new Promise((resolve) => pool.once('remove', resolve))
    await pool.query('select 1')
    resume()
    await removed
    expect(pool.stats()).toMatchObject({ probed: 1, total: 1, idle: 1, stale: 0 })
  })

  test('and answers before the dial serves; the dial is closed where there is no room', async () => {
    const { username: user, password } = new URL(server.url)
    let letIn = () => {}
    const later = new Promise<void>((resolve) => (letIn = resolve))
    let dials = 0
    createPool({
      connectionString: undefined,
      host: proxy.host,
      port: proxy.port,
      user,
      database: server.database,
      password: () => (dials++ === 0 ? password : later.then(() => password)),
    })
    stop(await pidOf(pool))
    fallSilent()
    const answer = pidOf(pool)
    const [pid] = stopped
    await vi.waitFor(() => expect(dials).toBe(2), PATIENCE)
    resume()
    expect(await answer).toBe(pid)
    letIn()
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ connected: 2, total: 1, idle: 1, stale: 0 }), PATIENCE)
    expect(await pidOf(pool)).toBe(pid)
  })

  test('harms no caller if the connection attempt fails', async () => {
    await server.query("create role hedger login password 'right'")
    createPool({ connectionString: proxy.urlFor(server.url).replace(/\/\/[^@]*@/, '//hedger:right@') })
    stop(await pidOf(pool))
    await server.query("alter role hedger password 'other'")
    fallSilent()
    const answer = pidOf(pool)
    const [pid] = stopped
    await vi.waitFor(() => expect(proxy.counters.flowsClosed).toBe(1), PATIENCE)
    resume()
    expect(await answer).toBe(pid)
    expect(pool.stats()).toMatchObject({ connected: 1, stale: 0, total: 1 })
  })

  test('is waited for with hedge: false', async () => {
    createPool({ hedge: false })
    stop(await pidOf(pool))
    fallSilent()
    const before = proxy.counters.flights
    const answer = pool.query('select 1')
    await vi.waitFor(() => expect(proxy.counters.flights).toBe(before + 1), PATIENCE)
    resume()
    await answer
    expect(pool.stats()).toMatchObject({ connected: 1, probed: 1 })
    expect(hedgesSet).toBe(0)
  })

  test('is raced once in ten seconds, as long as no dial was needed', async () => {
    createPool({ max: 5 })
    for (const [silence, raced] of [
      [1000, 1],
      [1000, 1],
      [10_000, 2],
    ] as const) {
      const pid = await pidOf(pool)
      for (const { pid: other } of await others(pid)) stop(other)
      stop(pid)
      clock.skip(silence)
      const before = hedgesDue
      const answer = pool.query('select 1')
      await vi.waitFor(() => expect(hedgesDue).toBeGreaterThan(before), PATIENCE)
      if (raced > hedges().length) await answer
      resume()
      await answer
      expect(hedges()).toHaveLength(raced)
    }
  })

  async function others(pid: number): Promise<{ pid: number }[]> {
    const text = 'select pid from pg_stat_activity where client_port is not null and pid not in ($1, pg_backend_pid())'
    const { rows } = await server.query(text, [pid])
    return rows as { pid: number }[]
  }
})
