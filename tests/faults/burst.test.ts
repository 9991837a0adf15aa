/**
 * Fifty calls at once on ten connections that died in the freeze. Plain pg hands out every dead one: ten calls fail, or hang. Thaw makes
 * as many connections as there is room for, and each of them serves a caller.
 */

import { Pool } from '@thaw/pg'
import { type CutKind, createStoppableClock, type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { until } from './until.ts'

const CONNECTIONS = 10
const CALLS = 50
/** Waits for the test, which holds the lock until every connection serves a caller. And is no read: those take the proof with them. */
const STATEMENT = "select pg_advisory_lock_shared(1), pg_advisory_unlock_shared(1), set_config('burst.test', 'on', true)"
/** StartupMessage, and two for SCRAM. */
const DIAL = 3

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())

interface Burst {
  readonly failed: number
  /** Round trips of each connection that was made for it, by the proxy's count. */
  readonly dials: readonly number[]
}

/** @param atOnce how many connections are to serve a caller at the same time. Default: none is waited for. */
async function burst(proxy: FaultProxy, kind: CutKind, open: (url: string) => pg.Pool, thaw: () => void, atOnce = 0): Promise<Burst> {
  const pool = open(proxy.urlFor(server.url))
  pool.on('error', () => {})
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => pool.connect()))
  for (const client of clients) client.release()
  const before = new Set(proxy.flows)
  const blocker = new pg.Client(server.url)
  await blocker.connect()
  if (atOnce > 0) await blocker.query('select pg_advisory_lock(1)')
  thaw()
  expect(proxy.cut(kind)).toBe(CONNECTIONS)
  const hanging = kind === 'drop' && !(pool instanceof Pool)
  const calls = Array.from({ length: CALLS }, () => pool.query(STATEMENT))
  // Of plain pg's calls on connections that were dropped none would end: the test ends them.
  if (hanging) setImmediate(() => proxy.cut('rst', { flows: before }))
  const settled = Promise.allSettled(calls)
  const waiting = "select from pg_locks where locktype = 'advisory' and not granted"
  await until(`${atOnce} callers are served at once`, async () => ((await blocker.query(waiting)).rowCount ?? 0) >= atOnce)
  await blocker.end()
  const results = await settled
  const failed = results.filter(({ status }) => status === 'rejected').length
  const dials = proxy.flows.filter((flow) => !before.has(flow)).map(({ traffic }) => traffic.roundTrips)
  await (pool instanceof Pool ? pool.end({ timeoutMillis: 1000 }) : pool.end())
  return { failed, dials }
}

function openThaw(): readonly [(url: string) => pg.Pool, () => void] {
  const clock = createStoppableClock()
  // On a busy machine a connection attempt can take a second, and is hedged: another test covers that.
  const setTimer: typeof clock.setTimer = (callback, millis, background) =>
    background && millis >= 1000 ? undefined : clock.setTimer(callback, millis, background)
  const patient = { ...clock, setTimer, clearTimer: (timer: unknown) => (timer === undefined ? undefined : clock.clearTimer(timer)) }
  const open = (connectionString: string) => new Pool({ connectionString, max: CONNECTIONS, idleTimeoutMillis: 0, clock: patient })
  return [open, () => clock.addWall(3000)]
}

const openPlain = (connectionString: string) => new pg.Pool({ connectionString, max: CONNECTIONS })

describe('fifty at once on ten dead connections', () => {
  test.each(['fin', 'rst', 'fin-on-next-byte', 'rst-on-next-byte'] as const)('%s: ten dials, none wasted', async (kind) => {
    await using proxy = await startFaultProxy(server)
    const { failed, dials } = await burst(proxy, kind, ...openThaw(), CONNECTIONS)
    expect(failed).toBe(0)
    expect(dials).toHaveLength(CONNECTIONS)
    // Each has served a caller, and nothing was sent that no caller had asked for.
    expect(Math.min(...dials)).toBeGreaterThan(DIAL)
    expect(dials.reduce((sum, one) => sum + one)).toBe(CONNECTIONS * DIAL + CALLS)
  })

  test('drop: one dial serves while the dead may still answer', async () => {
    await using proxy = await startFaultProxy(server)
    const { failed, dials } = await burst(proxy, 'drop', ...openThaw())
    expect(failed).toBe(0)
    expect(dials[0]).toBeGreaterThan(DIAL + 1)
  })

  test.each(['fin-on-next-byte', 'rst-on-next-byte', 'drop'] as const)('%s: plain pg loses a call for each', async (kind) => {
    await using proxy = await startFaultProxy(server)
    expect((await burst(proxy, kind, openPlain, () => {})).failed).toBe(CONNECTIONS)
  })
})
