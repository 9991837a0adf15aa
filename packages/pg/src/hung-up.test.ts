/**
 * A request whose client hangs up while it waits for a connection.
 *
 * What breaks: plain `pg` goes on waiting, and does the work for no one. The platform is played by core's own rules; PostgreSQL is real.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import {
  createInvocation,
  endInvocation,
  type Invocation,
  type OpenInvocation,
  resumeInvocation,
  runInvocation,
  systemClock,
} from '@thaw/core'
import type { ClientBase } from 'pg'
import { afterEach, expect, test } from 'vitest'
import { proxy, server, useFreshProxy } from '../test/one-server.ts'
import { Pool, type PoolConfig } from './index.ts'

useFreshProxy()

const HUNG_UP = new Error('The client has hung up')
const INSERT = { text: "INSERT INTO hung_up VALUES ('late')" }

let pool: Pool
afterEach(() => pool.end({ timeoutMillis: 1000 }))

function createPool(config: PoolConfig = {}): Pool {
  pool = new Pool({ connectionString: proxy.urlFor(server.url), application_name: 'hung-up', max: 1, ...config })
  return pool
}

const createStorage = () => new AsyncLocalStorage<Invocation>()
const open = (parentSignal: AbortSignal, endsAt?: number): OpenInvocation =>
  createInvocation({ id: 'a', endsAt, marginMillis: 0, clock: systemClock, parentSignal })
const inside = <Result>(invocation: Invocation, work: () => Result): Result => runInvocation(invocation, createStorage, work)

/** Begins inside an invocation. Its end is told by `ended`; `hangUp` aborts the request. */
function begin(work: () => Promise<unknown> | undefined, endsAt?: number) {
  const request = new AbortController()
  const invocation = open(request.signal, endsAt)
  const ended = inside(invocation, async () => work()).then(
    () => 'resolved' as const,
    (error: Error) => error,
  )
  return { ended, invocation, hangUp: () => request.abort(HUNG_UP) }
}

const connect = async () => (await pool.connect()).release()
const connectByCallback = () =>
  new Promise<void>((resolve, reject) => {
    pool.connect((error, _, release) => {
      release()
      if (error) reject(error)
      else resolve()
    })
  })

const WAYS: readonly (readonly [string, () => Promise<unknown>])[] = [
  ['connect()', connect],
  ['connect(callback)', connectByCallback],
  ['a read', () => pool.query('SELECT 1')],
  ['a write', () => pool.query(INSERT)],
  ['a transaction', () => pool.transaction((client) => client.query(INSERT))],
  ['a batch', () => pool.batch([INSERT])],
  ['once', () => pool.query({ ...INSERT, once: true })],
]

test.each(WAYS)('%s: the wait for a place ends, and nothing is sent', async (_, work) => {
  createPool({ share: false })
  const holder = await pool.connect()
  const { ended, invocation, hangUp } = begin(work)
  await expect.poll(() => pool.waitingCount).toBe(1)
  hangUp()
  // The place is still taken.
  expect(await ended).toBe(HUNG_UP)
  expect(pool.waitingCount).toBe(0)
  holder.release()
  expect(endInvocation(invocation)).toEqual([])
  await pool.query('SELECT 1')
  expect(pool.stats()).toMatchObject({ connected: 1, total: 1, idle: 1 })
})

test.each(WAYS)('%s: the wait for a database that is away ends', async (_, work) => {
  createPool()
  // An address that never answered may be a typing error, which is told sooner.
  await pool.query('SELECT 1')
  proxy.away()
  await expect.poll(() => pool.totalCount).toBe(0)
  const { ended, hangUp } = begin(work)
  await expect.poll(() => pool.stats().retried).toBeGreaterThan(0)
  hangUp()
  expect(await ended).toBe(HUNG_UP)
})

test.each(WAYS.slice(0, 2))('%s: after the hang-up no client is handed out', async (_, work) => {
  createPool()
  await pool.query('SELECT 1')
  const gone = open(AbortSignal.abort(HUNG_UP))
  await expect(inside(gone, work)).rejects.toBe(HUNG_UP)
  expect(endInvocation(gone)).toEqual([])
  expect(pool.stats()).toMatchObject({ total: 1, idle: 1 })
})

test('at the deadline the error says what was waited for', async () => {
  createPool()
  const holder = await pool.connect()
  const { ended } = begin(connect, Date.now() + 100)
  expect(await ended).toMatchObject({ kind: 'deadline', message: expect.stringContaining('Nothing was sent') })
  expect(pool.stats()).toMatchObject({ timedOut: 1 })
  holder.release()
})

test('what was started outside of the invocation waits on, and so do other requests', async () => {
  createPool()
  const holder = await pool.connect()
  const here = begin(() => Promise.all([connect(), resumeInvocation(undefined, connect)]))
  const outside = begin(() => resumeInvocation(undefined, connect))
  const other = begin(connect)
  await expect.poll(() => pool.waitingCount).toBe(4)
  here.hangUp()
  outside.hangUp()
  expect(await here.ended).toBe(HUNG_UP)
  expect(pool.waitingCount).toBe(3)
  holder.release()
  expect([await outside.ended, await other.ended]).toEqual(['resolved', 'resolved'])
})

test('of forty requests, all but two of which hang up, none has a client, and no connection is closed', async () => {
  createPool({ max: 2 })
  const holders = await Promise.all([pool.connect(), pool.connect()])
  const warned: Error[] = []
  const note = (warning: Error) => void warned.push(warning)
  process.on('warning', note)
  const requests = Array.from({ length: 40 }, () =>
    begin(async () => {
      const client = await pool.connect()
      await client.query('SELECT 1')
      client.release()
    }),
  )
  await expect.poll(() => pool.waitingCount).toBe(40)
  for (const { hangUp } of requests.slice(2)) hangUp()
  const gone = await Promise.all(requests.slice(2).map(({ ended }) => ended))
  expect(new Set(gone)).toEqual(new Set([HUNG_UP]))
  for (const holder of holders) holder.release()
  expect(await Promise.all(requests.slice(0, 2).map(({ ended }) => ended))).toEqual(['resolved', 'resolved'])
  expect(requests.flatMap(({ invocation }) => endInvocation(invocation))).toEqual([])
  expect(pool.stats()).toMatchObject({ connected: 2, total: 2 })
  process.off('warning', note)
  expect(warned).toEqual([])
})

test('a read that has gone out behind others is told once', async () => {
  createPool({ share: true })
  await pool.query('SELECT 1')
  const told: unknown[] = []
  // The second waits until the first has a connection of its own.
  const { hangUp } = begin(async () => {
    for (const text of ['SELECT 1', 'SELECT 2']) pool.query(text, (error: Error) => void told.push(error))
  })
  await expect.poll(() => told).toEqual([undefined, undefined])
  hangUp()
  await pool.query('SELECT 1')
  expect(told).toEqual([undefined, undefined])
})

test.each([
  ['onConnect', (prepare: (client: ClientBase) => Promise<unknown>) => createPool({ onConnect: prepare } as PoolConfig)],
  [
    'a listener of `connect`',
    (prepare: (client: ClientBase) => Promise<unknown>) => createPool().on('connect', (client) => void prepare(client)),
  ],
])('%s of a connection that was opened for a request that is gone prepares it for the next', async (_, create) => {
  create((client) => client.query("SET search_path TO 'prepared'"))
  const first = begin(connect)
  const second = begin(async () => expect((await pool.query('SHOW search_path')).rows).toEqual([{ search_path: 'prepared' }]))
  // The connection is being opened.
  first.hangUp()
  expect([await first.ended, await second.ended]).toEqual([HUNG_UP, 'resolved'])
  expect(pool.stats()).toMatchObject({ connected: 1 })
})
