/** What callers and listeners are told over WebSocket: the same as over TCP. Beside it, where it differs, what Neon's driver tells. */

import * as stock from '@neondatabase/serverless'
import { OutcomeUnknownError, systemClock } from '@thaw/core'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { Pool, type PoolConfig } from './index.ts'

useOneNeon()

let pool: Pool

beforeAll(() => neon.postgres.query('create table lines (line text)'))
afterEach(() => pool.ended || pool.end({ timeoutMillis: 1000 }))

function createPool(config: PoolConfig = {}): Pool {
  pool = new Pool({ connectionString: neon.url, ...config })
  return pool
}

const INSERT = 'insert into lines values ($1)'
const stored = async (line: string) => (await neon.postgres.query('select from lines where line = $1', [line])).rowCount

test("a proxy's last words under a write that is stored: Neon's driver tells of an answer, Thaw that nothing is known", async () => {
  const errorResponse = { code: 'XX000', message: 'server conn crashed?' }
  const plain = new stock.Pool({ connectionString: neon.url })
  plain.on('error', () => {})
  await plain.query('select 1')
  neon.compute.loseNextAnswer({ containing: 'insert', errorResponse, until: 'ready-for-query' })
  await expect(plain.query(INSERT, ['plain'])).rejects.toMatchObject({ name: 'error', code: 'XX000' })
  expect(await stored('plain')).toBe(1)
  await plain.end()

  createPool()
  await pool.query('select 1')
  neon.compute.loseNextAnswer({ containing: 'insert', errorResponse, until: 'ready-for-query' })
  const error: Error = await pool.query(INSERT, ['thaw']).then(
    () => new Error('It was answered'),
    (lost: Error) => lost,
  )
  expect(error).toBeInstanceOf(OutcomeUnknownError)
  expect(error).toMatchObject({ evidence: { fatalSqlstate: 'XX000' }, cause: errorResponse })
  expect(await stored('thaw')).toBe(1)
  neon.compute.loseNextRequest({ containing: 'version', errorResponse })
  expect((await pool.query('select version() as v')).rows[0].v).toMatch(/^PostgreSQL/)
})

test('a listener that writes each event down with the same pool hears of one thaw once', async () => {
  let skipped = 0
  createPool({ max: 2, clock: { ...systemClock, wall: () => systemClock.wall() + skipped } })
  const written: Promise<unknown>[] = []
  await pool.query('select 1')
  await pool.query('select 1')
  pool.subscribe(({ type }) => {
    if (type === 'thawed') written.push(pool.query(INSERT, [type]))
  })
  skipped += 60_000
  await pool.query('select 1')
  await Promise.all(written)
  expect(pool.stats().thawed).toBe(1)
  expect(await stored('thawed')).toBe(1)
})

test('the pool tells of the death of an idle connection once', async () => {
  createPool()
  const errors: Error[] = []
  pool.on('error', (error: Error) => errors.push(error))
  const { rows } = await pool.query('select pg_backend_pid() as pid')
  await neon.postgres.query('select pg_terminate_backend($1)', [rows[0].pid])
  await expect.poll(() => errors).toHaveLength(1)
  await expect.poll(() => pool.totalCount).toBe(0)
  await pool.query('select 1')
  expect(errors).toHaveLength(1)
})

test('a value that cannot be bound, a text on a prototype, and an aborted wait: each caller is called back once, and not before its call has returned', async () => {
  createPool({ max: 1 })
  const circle: unknown[] = []
  circle.push({ self: circle })
  let hasReturned = false
  const told = new Promise<boolean>((resolve) => pool.query('select $1::json', [circle], () => resolve(hasReturned)))
  hasReturned = true
  expect(await told).toBe(true)
  expect((await pool.query(Object.create({ text: 'select 1 as one' }))).rows).toEqual([{ one: 1 }])
  const held = await pool.connect()
  const controller = new AbortController()
  let calls = 0
  const aborted = new Promise((resolve) =>
    pool.connect({ signal: controller.signal }, (error) => {
      calls++
      resolve(error)
    }),
  )
  controller.abort(new Error('No longer wanted'))
  expect(await aborted).toMatchObject({ message: 'No longer wanted' })
  held.release()
  await pool.query('select 1')
  expect(calls).toBe(1)
})

test.each(['a client', 'a read'])(
  'a living connection that has state of its session on it and loses a race for %s is kept, over WebSocket too',
  async (what) => {
    let isRaced = false
    createPool({ max: 1, trustMillis: 0 })
    pool.subscribe((event) => {
      if (event.type === 'connected' && event.hedge) isRaced = true
    })
    await pool.query(`set application_name to 'kept'`)
    const { rows } = await pool.query('select pg_backend_pid() as pid')
    process.kill(rows[0].pid, 'SIGSTOP')
    const served = what === 'a client' ? pool.connect().then((client) => client.release()) : pool.query('select 1')
    try {
      await expect.poll(() => isRaced).toBe(true)
    } finally {
      process.kill(rows[0].pid, 'SIGCONT')
    }
    await served
    await expect.poll(() => [pool.totalCount, pool.idleCount]).toEqual([1, 1])
    expect((await pool.query('select pg_backend_pid() as pid')).rows).toEqual(rows)
    expect(pool.stats().sessionLost).toBe(0)
  },
)

test('the loss of state of a session is told, and nothing on the connection is sent again', async () => {
  createPool({ max: 1 })
  await pool.query(`set application_name to 'lost'`)
  const lost = neon.compute.loseNextAnswer({ containing: 'version' })
  await expect(pool.query('select version()')).rejects.toMatchObject({ kind: 'connection-lost', reason: 'read' })
  await lost.struck
  expect(pool.stats().sessionLost).toBe(1)
})

test('the wait of a connect() with a signal ends once, with a reason that is frozen as it is, though the pool ends in the same moment', async () => {
  createPool({ max: 1 })
  const held = await pool.connect()
  held.on('error', () => {})
  const controller = new AbortController()
  const reason = Object.freeze(new Error('frozen'))
  const told: unknown[] = []
  pool.connect({ signal: controller.signal }, (error) => told.push(error))
  const next = pool.connect({ signal: controller.signal }).catch((error: unknown) => error)
  await new Promise<void>((resolve) => {
    pool.end({ timeoutMillis: 1 }, () => {
      controller.abort(reason)
      resolve()
    })
  })
  await next
  await new Promise((resolve) => setImmediate(resolve))
  expect(told).toHaveLength(1)

  createPool({ max: 1 })
  const kept = await pool.connect()
  const aborted = new AbortController()
  const waiting = pool.connect({ signal: aborted.signal }).catch((error: unknown) => error)
  aborted.abort(reason)
  expect(await waiting).toBe(reason)
  kept.release()
})

test('end() does not wait for the attempt beside a connection that has answered after all', { timeout: 5000 }, async () => {
  createPool({ max: 1, trustMillis: 0, connectionTimeoutMillis: 600_000 })
  const { rows } = await pool.query('select pg_backend_pid() as pid')
  process.kill(rows[0].pid, 'SIGSTOP')
  const before = neon.network.flows.length
  await neon.network.deafen()
  const served = pool.query('select 1 as one')
  try {
    await expect.poll(() => neon.network.flows.length).toBeGreaterThan(before)
  } finally {
    process.kill(rows[0].pid, 'SIGCONT')
    void neon.network.accept()
  }
  expect((await served).rows).toEqual([{ one: 1 }])
  await pool.end()
  expect(pool.totalCount).toBe(0)
})

test.each([
  ['does not answer', 'drop', 'ETIMEDOUT'],
  ['has ended', 'fin', 'ECONNRESET'],
] as const)('a client whose connection %s, found dead while it was held: the code is that of a socket', async (_, cut, code) => {
  createPool({ max: 1, trustMillis: 0, probeTimeoutMillis: 40 })
  const client = await pool.connect()
  client.on('error', () => {})
  await client.query('select 1')
  neon.network.cut(cut)
  const lost = { kind: 'connection-lost', reason: 'unsent' }
  await expect(client.query('select 1')).rejects.toMatchObject({ ...lost, code, syscall: 'read', errno: expect.any(Number) })
  if (cut === 'drop') await expect(client.query('select 1')).rejects.toMatchObject({ ...lost, code: 'EPIPE', syscall: 'write' })
  client.release(true)
})

test('COPY to the client, lost: it only reads, and is sent again as a read is, unless it copies what a write returns', async () => {
  createPool({ max: 1 })
  const lose = (ask: { query(text: string): Promise<{ command: string }> }, what: string) => {
    neon.compute.loseNextAnswer({ containing: 'copy ', cut: 'fin' })
    return ask.query(`copy ${what} to stdout`)
  }
  await pool.query('select 1')
  expect(await lose(pool, 'lines')).toMatchObject({ command: 'COPY' })
  expect(pool.stats().retried).toBe(1)
  const client = await pool.connect()
  client.on('error', () => {})
  await expect(lose(client, 'lines')).rejects.toMatchObject({ kind: 'connection-lost', reason: 'read' })
  client.release(true)
  const unknown = { kind: 'outcome-unknown', reason: 'write-in-flight' }
  await expect(lose(pool, "(insert into lines values ('copied') returning line)")).rejects.toMatchObject(unknown)
  expect(await stored('copied')).toBe(1)
})
