/** How full a server is: slots that no session shows, and looks of several newcomers at once. Plain pg is refused where it is full, and makes no room. */

import { connect, type Socket } from 'node:net'
import type { ThawEvent } from '@thaw/core'
import { type PostgresServer, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { Pool, type PoolConfig } from './index.ts'

const PATIENCE = { timeout: 20_000, interval: 20 }
const PATIENT = 60_000
/** For everybody but superusers. */
const SLOTS = 40

let server: PostgresServer
let events: ThawEvent[] = []
let leaving: (() => unknown)[] = []

beforeAll(async () => {
  server = await startPostgres({ settings: { max_connections: SLOTS + 3, superuser_reserved_connections: 3 } })
  await server.query("create role app login password 'app'")
})
afterEach(async () => {
  await Promise.all(leaving.map((leave) => leave()))
  leaving = []
  events = []
  await vi.waitFor(async () => expect(await count()).toBe(0), PATIENCE)
})
afterAll(() => server.close())

const url = () => server.url.replace(/\/\/[^@]*@/, '//app:app@')

function member(config: PoolConfig = {}): Pool {
  const pool = new Pool({ connectionString: url(), max: 1, idleTimeoutMillis: 0, hedge: false, fleet: 'slots', ...config } as PoolConfig)
  pool.subscribe((event) => events.push(event))
  leaving.push(() => pool.end({ timeoutMillis: 1000 }))
  return pool
}

async function count(where = 'true'): Promise<number> {
  const { rows } = await server.query<{ n: number }>(`select count(*)::int as n from pg_stat_activity where usename = 'app' and ${where}`)
  return rows[0]?.n ?? 0
}

/** Members that have been idle for longer than the lease. */
async function sleepers(many: number, others = 0): Promise<Pool[]> {
  const pools = Array.from({ length: many }, () => member())
  for (const pool of pools) await pool.query('select 1')
  const isOver = "application_name = 'fleet:slots' and state = 'idle' and state_change < clock_timestamp() - interval '1.5 seconds'"
  await vi.waitFor(async () => expect(await count(isOver)).toBe(many + others), PATIENCE)
  return pools
}

async function strangers(many: number): Promise<stock.Client[]> {
  const clients = Array.from({ length: many }, () => new stock.Client({ connectionString: url() }))
  for (const client of clients) client.on('error', () => {})
  await Promise.all(clients.map((client) => client.connect()))
  leaving.push(() => Promise.allSettled(clients.map((client) => client.end())))
  return clients
}

/** Says who it is, and nothing more: it is asked for its password. */
async function logsIn(): Promise<Socket> {
  const text = Buffer.from('user\0app\0database\0postgres\0\0')
  const head = Buffer.alloc(8)
  head.writeInt32BE(text.length + 8, 0)
  head.writeInt32BE(196_608, 4)
  const socket = connect(server.port, server.host)
  socket.on('error', () => {})
  leaving.push(() => socket.destroy())
  socket.write(Buffer.concat([head, text]))
  await new Promise((resolve) => socket.once('data', resolve))
  return socket
}

const ended = () => events.reduce((all, event) => all + (event.type === 'evicted' ? event.sessions : 0), 0)

test('a session that is still logging in counts, for a role that cannot see it, too', { timeout: PATIENT }, async () => {
  const asleep = await sleepers(20)
  for (let i = 0; i < 12; i++) await logsIn()
  const newcomer = member()
  await newcomer.query('select 1')
  // 33 of 40, and the half is 20. Only 21 have a session.
  await vi.waitFor(() => expect(newcomer.stats().fleet).toMatchObject({ used: 33, limit: SLOTS, evicted: 13 }), PATIENCE)
  for (const pool of asleep) await pool.query('select 1')
})

test('a refusal proves that the server was full, whatever is counted a moment later', { timeout: PATIENT }, async () => {
  await sleepers(12)
  const others = await strangers(SLOTS - 12)
  const plain = new stock.Client({ connectionString: url() })
  await expect(plain.connect()).rejects.toMatchObject({ code: '53300' })
  const newcomer = member()
  const isRefused = () => events.some((event) => event.type === 'retried' && event.code === '53300')
  const answer = newcomer.query('select 1')
  await vi.waitFor(() => expect(isRefused()).toBe(true), { timeout: 5000, interval: 1 })
  await Promise.all(others.map((client) => client.end()))
  await answer
  // Of the 12 that are left, a quarter of the limit.
  await vi.waitFor(() => expect(newcomer.stats().fleet?.evicted).toBe(10), PATIENCE)
})

/** On a crowded server, its own session would end itself after the lease. */
const timeoutOf = async (pool: Pool) => (await pool.query("select current_setting('idle_session_timeout') as value")).rows[0].value

test('while another look ends sessions, a newcomer ends none, and does not take the server for crowded', { timeout: PATIENT }, async () => {
  await sleepers(29)
  await strangers(3)
  const other = new stock.Client({ connectionString: server.url })
  await other.connect()
  // As that look does.
  await other.query("select pg_advisory_lock(x'74686177'::int + 1, hashtext('fleet:slots'))")
  const newcomer = member()
  await newcomer.query('select 1')
  await vi.waitFor(() => expect(newcomer.stats().fleet).toMatchObject({ looks: 1, evicted: 0, used: 34 }), PATIENCE)
  expect(await timeoutOf(newcomer)).toBe('1min')
  await other.end()
  await vi.waitFor(async () => expect(await count()).toBe(33), PATIENCE)
  const next = member()
  await next.query('select 1')
  await vi.waitFor(() => expect(next.stats().fleet?.evicted).toBe(14), PATIENCE)
})

test('newcomers at once end down to a half, and not below', { timeout: PATIENT }, async () => {
  await sleepers(29)
  await strangers(3)
  const newcomers = Array.from({ length: 8 }, () => member())
  await Promise.all(newcomers.map((pool) => pool.query('select 1')))
  await vi.waitFor(() => expect(newcomers.every((pool) => pool.stats().fleet?.looks === 1)).toBe(true), PATIENCE)
  await vi.waitFor(async () => expect(await count()).toBeLessThanOrEqual(SLOTS * 0.75), PATIENCE)
  const left = await count()
  expect(left).toBeGreaterThanOrEqual(SLOTS / 2 - 1)
  // A session that was told to end, and is still there, may be counted by the next look.
  expect(ended()).toBeLessThanOrEqual((40 - left) * 2)
})

test('where strangers hold most of a server, what they leave is shared by the same rule', { timeout: PATIENT }, async () => {
  await strangers(31)
  const few = await sleepers(4)
  // 35 of 40, and none waits: the sessions of all of them stay; not for a minute, should others take the rest.
  for (const pool of few) {
    await pool.query('select 1')
    await vi.waitFor(async () => expect(await timeoutOf(pool)).toBe('5s'), PATIENCE)
  }
  const client = await few[0]?.connect()
  client?.release()
  expect(await timeoutOf(few[0] as Pool)).toBe('5s')
  expect(few.map((pool) => pool.stats().connected)).toEqual([1, 1, 1, 1])
  expect(ended()).toBe(0)
  await sleepers(2, 4)
  // Seven of the nine that they leave, and the half is four.
  const newcomer = member()
  await newcomer.query('select 1')
  await vi.waitFor(() => expect(newcomer.stats().fleet).toMatchObject({ used: 38, limit: SLOTS, evicted: 3 }), PATIENCE)
  expect(await timeoutOf(newcomer)).toBe('5s')
})

test('where they hold all but one place, it is for one member after the other', { timeout: PATIENT }, async () => {
  await strangers(SLOTS - 1)
  const pool = member()
  await pool.query('select 1')
  await vi.waitFor(async () => expect(await timeoutOf(pool)).toBe('1500ms'), PATIENCE)
})
