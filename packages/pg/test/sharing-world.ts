/** What the tests of sharing have in common: a server, a proxy that records, and a pool of one whose reads share its connection. */

import { type Clock, systemClock } from '@thaw/core'
import stock from 'pg'
import { afterEach, beforeAll, expect, onTestFinished, vi } from 'vitest'
import { Pool, type PoolConfig } from '../src/index.ts'
import { proxy, server, useFreshProxy } from './one-server.ts'

export const PATIENCE: { readonly timeout: number } = { timeout: 60_000 }
export const TEN: readonly number[] = Array.from({ length: 10 }, (_, index) => index)

export { proxy, server }
export let pool: Pool

/** One connection: all that is asked at once shares it. */
export function createPool(config: PoolConfig & { share?: unknown } = {}): Pool {
  pool = new Pool({ connectionString: proxy.urlFor(server.url), max: 1, share: true, trustMillis: 60_000, ...config } as PoolConfig)
  return pool
}

/** As one caller each. */
export const ask = (index: number): Promise<stock.QueryResult> => pool.query('select $1::int as n, pg_backend_pid() as pid', [index])

/** The time of a machine so many times as fast: what takes this one long is quick there. */
export function clockOfFaster(times: number): Clock {
  const began = { wall: systemClock.wall(), mono: systemClock.mono() }
  const slowed = (from: number, now: number) => from + (now - from) / times
  return {
    ...systemClock,
    wall: () => slowed(began.wall, systemClock.wall()),
    mono: () => slowed(began.mono, systemClock.mono()),
  }
}

/** Opens that many connections, and makes it known that the texts are quick. */
export async function teach(connections: number, ...texts: string[]): Promise<void> {
  const clients = await Promise.all(Array.from({ length: connections }, () => pool.connect()))
  for (const client of clients) client.release()
  for (const text of ['select $1::int as n, pg_backend_pid() as pid', ...texts])
    for (let turn = 0; turn < 3; turn++) await pool.query(text, text.includes('$1') ? [0] : undefined)
}

/** Each read of `read_me` waits. Returns how to end that. */
export async function lock(): Promise<() => Promise<void>> {
  const blocker = new stock.Client(server.url)
  await blocker.connect()
  await blocker.query('begin; lock table read_me')
  let isOver = false
  const unlock = async () => {
    if (isOver) return
    isOver = true
    await blocker.query('commit')
    await blocker.end()
  }
  onTestFinished(unlock)
  return unlock
}

/** Until so many of them wait for that. */
export async function untilLocked(count = 1): Promise<void> {
  await vi.waitFor(async () => {
    expect((await server.query("select 1 from pg_stat_activity where wait_event_type = 'Lock'")).rows).toHaveLength(count)
  }, PATIENCE)
}

/** What went to the server since then, a string for each read of the socket. */
export function sentSince(before: number): string[] {
  const chunks = proxy.flows[0]?.chunks.slice(before) ?? []
  return chunks.filter(({ direction }) => direction === 'to-server').map(({ data }) => data.toString('latin1'))
}

/** A server for the file, and for each test a proxy that records. */
export function useSharingWorld(): void {
  useFreshProxy({ record: true })
  beforeAll(() => server.query('create table read_me as select n from generate_series(1, 3) n'))
  afterEach(async () => {
    if (pool?.ended === false) await pool.end({ timeoutMillis: 1000 })
  })
}
