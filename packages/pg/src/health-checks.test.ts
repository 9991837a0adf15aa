import type { ThawEvent } from '@thaw/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { proxy, server, useFreshProxy } from '../test/one-server.ts'
import { roundTripsAt } from '../test/round-trips.ts'
import { createTimerClock } from '../test/timer-clock.ts'
import { Pool, type PoolConfig } from './index.ts'

useFreshProxy()

let pool: Pool
let events: ThawEvent[]

const clock = createTimerClock()

function createPool(config: PoolConfig = {}): Pool {
  pool = new Pool({
    connectionString: proxy.urlFor(server.url),
    max: 10,
    idleTimeoutMillis: 3_600_000,
    piggybackProbe: false,
    hedge: false,
    clock,
    ...config,
  })
  pool.subscribe((event) => events.push(event))
  return pool
}

async function warm(count: number): Promise<void> {
  const clients = await Promise.all(Array.from({ length: count }, () => pool.connect()))
  for (const client of clients) client.release()
}

const roundTrips = (work: () => Promise<unknown>) => roundTripsAt(proxy, work)

beforeEach(async () => {
  clock.reset()
  events = []
})
afterEach(() => pool.end({ timeoutMillis: 1000 }))

describe('round trips at acquire', () => {
  test('a fresh connection is trusted: none but the statement’s own', async () => {
    createPool()
    await warm(1)
    expect(await roundTrips(() => pool.query('select 1'))).toBe(1)
  })

  test('a silent one is asked: one more', async () => {
    createPool()
    await warm(1)
    clock.skip(600)
    expect(await roundTrips(() => pool.query('select 1'))).toBe(2)
    expect(await roundTrips(() => pool.query('select 1'))).toBe(1)
    expect(pool.stats()).toMatchObject({ probed: 1, connected: 1 })
  })

  test('trustMillis 0 asks every time', async () => {
    createPool({ trustMillis: 0 })
    await warm(1)
    expect(await roundTrips(() => pool.query('select 1'))).toBe(2)
    expect(await roundTrips(() => pool.query('select 1'))).toBe(2)
  })

  test('one that the kernel knows to be dead is not asked', async () => {
    createPool()
    await warm(3)
    clock.skip(600)
    proxy.cut('rst')
    await pool.query('select 1')
    expect(pool.stats()).toMatchObject({ probed: 0, stale: 3, connected: 4 })
  })
})

describe('what makes a connection suspect', () => {
  test.each([
    ['both clocks moved on', { wall: 60_000, mono: 60_000 }, 0],
    ['the monotonic clock stood still', { wall: 60_000, mono: 0 }, 1],
    ['the wall clock stood still', { wall: 0, mono: 60_000 }, 1],
    ['the wall clock went back', { wall: -5000, mono: 10 }, 1],
  ])('a freeze in which %s', async (_how, jump, thawed) => {
    createPool()
    await warm(2)
    await pool.query('select 1')
    Object.assign(clock.skipped, jump)
    await pool.query('select 1')
    await expect.poll(() => pool.stats()).toMatchObject({ probed: 2, connected: 2, thawed })
  })

  test('the death of a sibling, inside the trust window', async () => {
    createPool()
    await warm(4)
    const pid = await newestPid()
    const removed = new Promise((resolve) => pool.once('remove', resolve))
    await server.query('select pg_terminate_backend($1)', [pid])
    await removed
    await pool.query('select 1')
    // The first to answer serves the query; the others answer a moment later.
    await expect.poll(() => pool.stats()).toMatchObject({ stale: 1, probed: 3, connected: 4 })
  })

  async function newestPid(): Promise<number> {
    const { rows } = await pool.query('select pg_backend_pid() as pid')
    return rows[0].pid
  }
})

describe('what is destroyed unasked', () => {
  test('idle for too long by the clock, though no timer has fired', async () => {
    createPool({ idleTimeoutMillis: 30_000 })
    await warm(2)
    clock.skip(31_000)
    await pool.query('select 1')
    expect(pool.stats()).toMatchObject({ stale: 2, probed: 0, connected: 3 })
    expect(events.filter((event) => event.type === 'stale').map((event) => event.reason)).toEqual(['idle', 'idle'])
  })

  test('older than its lifetime, with jitter', async () => {
    createPool({ maxLifetimeSeconds: 100 })
    await warm(1)
    for (let i = 0; i < 9; i++) {
      clock.skip(10_000)
      await pool.query('select 1')
    }
    expect(pool.stats().connected).toBe(1)
    // The clock draws 0.5, so the share is 0.95.
    clock.skip(6000)
    await pool.query('select 1')
    expect(pool.stats().connected).toBe(2)
  })
})

test('one that was silent for longer than another that died is asked, not destroyed', async () => {
  createPool()
  await warm(1)
  clock.skip(60_000)
  proxy.cut('fin-on-next-byte')
  await pool.query('select 1')
  expect(pool.stats()).toMatchObject({ connected: 2, stale: 1 })
  for (let i = 0; i < 3; i++) {
    clock.skip(59_000)
    await pool.query('select 1')
  }
  expect(pool.stats()).toMatchObject({ probed: 4, connected: 2, stale: 1 })
})

test('ten silently dropped connections cost one probe deadline, not ten', async () => {
  createPool({ probeTimeoutMillis: 200 })
  await warm(10)
  clock.skip(600)
  expect(proxy.cut('drop')).toBe(10)
  await Promise.all(Array.from({ length: 20 }, () => pool.query('select 1')))
  const probes = events.filter((event) => event.type === 'probed')
  expect(probes).toHaveLength(10)
  expect(pool.stats()).toMatchObject({ stale: 10, thawed: 0 })
})

test('a statement of which the kernel took nothing is sent on another connection, a write too', async () => {
  createPool()
  await pool.query('create table if not exists once (n int)')
  // Fresh, so the health check trusts it; the RST is in the kernel, and the event loop has not read it yet.
  proxy.cut('rst')
  await pool.query('insert into once values (1)')
  expect((await server.query('select count(*)::int as n from once')).rows).toEqual([{ n: 1 }])
  expect(pool.stats()).toMatchObject({ retried: 1, connected: 2 })
})

describe('what a probe meets is what the event says', () => {
  const staleOnes = () => events.filter(({ type }) => type === 'stale')

  test.each([
    ['rst-on-next-byte', { reason: 'broken', code: 'ECONNRESET' }],
    ['fin-on-next-byte', { reason: 'broken' }],
    ['drop', { reason: 'unanswered' }],
  ] as const)('%s', async (fault, told) => {
    createPool({ probeTimeoutMillis: 200 })
    await warm(1)
    clock.skip(60_000)
    proxy.cut(fault)
    await pool.query('select 1')
    expect(staleOnes()).toEqual([{ type: 'stale', silenceMillis: expect.any(Number), ...told }])
  })
})
