/** Channels of `node:diagnostics_channel`: statements, connects and waits by the names of node-postgres#3650, Thaw's own events by `thaw:` and their type. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { execFile } from 'node:child_process'
import { channel, subscribe, tracingChannel, unsubscribe } from 'node:diagnostics_channel'
import { inspect, promisify } from 'node:util'
import { EVENT_TYPES, type ThawEvent } from '@thaw/core'
import { illegalMoves } from '@thaw/pool'
import { createStoppableClock } from '@thaw/testkit'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { proxy, server, useOneServer } from '../test/one-server.ts'
import { Client, Pool, type PoolConfig } from './index.ts'

useOneServer()

interface Told {
  readonly step: string
  readonly context: Record<string, unknown> & { readonly error?: Error }
}

const undo: (() => unknown)[] = []

beforeAll(() => server.query('create table orders (id int)'))
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one()
})
afterAll(() => expect(illegalMoves).toEqual([]))

function newPool(options: PoolConfig = {}, Client?: typeof pg.Client): Pool {
  const pool = new Pool({ connectionString: proxy.urlFor(server.url), ...options, ...(Client && { Client: Client as never }) })
  undo.push(() => pool.end({ timeoutMillis: 1000 }))
  return pool
}

/** What is published on a tracing channel from now on. */
function listen(name: string): Told[] {
  const told: Told[] = []
  const on = (step: string) => (context: unknown) => void told.push({ step, context: context as Told['context'] })
  const subscribers = { start: on('start'), end: on('end'), asyncStart: on('asyncStart'), asyncEnd: on('asyncEnd'), error: on('error') }
  const traced = tracingChannel(name)
  traced.subscribe(subscribers)
  undo.push(() => traced.unsubscribe(subscribers))
  return told
}

function listenTo(name: string): Record<string, unknown>[] {
  const told: Record<string, unknown>[] = []
  const listener = (message: unknown) => void told.push(message as Record<string, unknown>)
  subscribe(name, listener)
  undo.push(() => unsubscribe(name, listener))
  return told
}

const steps = (told: Told[]) => told.map(({ step }) => step)
const texts = (told: Told[]) =>
  told.filter(({ step }) => step === 'start').map(({ context }) => (context['query'] as { text: string }).text)
const SUCCESS = ['start', 'end', 'asyncStart', 'asyncEnd']

test('a statement of the pool: once, with its text, its connection and its result, and no values', async () => {
  const pool = newPool()
  await pool.query('select 1')
  const told = listen('pg:query')
  await pool.query({ name: 'mine', text: 'select $1::int as x', values: [7] })
  expect(steps(told)).toEqual(SUCCESS)
  const { port } = new URL(proxy.urlFor(server.url))
  expect(told[0]?.context).toEqual({
    query: { text: 'select $1::int as x', name: 'mine' },
    client: { database: 'postgres', host: '127.0.0.1', port: Number(port), user: 'postgres', ssl: false, processID: expect.any(Number) },
    result: { rowCount: 1, command: 'SELECT' },
  })
  expect(new Set(told.map(({ context }) => context)).size).toBe(1)
})

test('a statement that fails: with its error', async () => {
  const pool = newPool()
  const told = listen('pg:query')
  const failure = await pool.query('select nothing').catch((error: Error) => error)
  expect(steps(told)).toEqual(['start', 'end', 'error', 'asyncStart', 'asyncEnd'])
  expect(told[0]?.context.error).toBe(failure)
})

test.for(['promise', 'callback', 'values and callback', 'callback in the config', 'cursor'] as const)(
  'a statement on a client in use, by %s: once',
  async (how) => {
    const pool = newPool()
    const client = await pool.connect()
    const told = listen('pg:query')
    const text = 'select 1 as x'
    if (how === 'promise') expect((await client.query(text)).rows).toEqual([{ x: 1 }])
    else if (how === 'cursor') {
      const cursor = client.query(new Cursor(text))
      expect(await cursor.read(5)).toEqual([{ x: 1 }])
      await cursor.close()
    } else {
      const result = await new Promise<pg.QueryResult>((resolve, reject) => {
        const done = (error: Error, found: pg.QueryResult) => (error ? reject(error) : resolve(found))
        if (how === 'callback') client.query(text, done)
        else if (how === 'values and callback') client.query(text, [], done)
        else client.query({ text, callback: done } as never)
      })
      expect(result.rows).toEqual([{ x: 1 }])
    }
    await expect.poll(() => steps(told)).toEqual(SUCCESS)
    expect(texts(told)).toEqual([text])
    client.release()
  },
)

test('a client of its own, in no pool', async () => {
  const told = listen('pg:query')
  const connects = listen('pg:connection')
  const client = new Client({ connectionString: server.url })
  await client.connect()
  await client.query('select 2')
  await client.end()
  expect(texts(told)).toEqual(['select 2'])
  expect(steps(connects)).toEqual(SUCCESS)
})

test('opening a connection, each attempt by itself', async () => {
  const pool = newPool()
  const told = listen('pg:connection')
  const retried = listenTo('thaw:retried')
  // A server has answered at this address before, so it is no typing error.
  await pool.query('select 1')
  expect(told[0]?.context['connection']).toMatchObject({ database: 'postgres', host: '127.0.0.1', user: 'postgres', ssl: false })
  expect(steps(told)).toEqual(SUCCESS)
  told.length = 0
  const second = newPool()
  proxy.refuse()
  undo.push(() => proxy.accept())
  const answered = second.query('select 1')
  await expect.poll(() => retried.length).toBeGreaterThan(0)
  await proxy.accept()
  await answered
  expect(steps(told).filter((step) => step === 'error').length).toBeGreaterThan(0)
  expect(steps(told).slice(-4)).toEqual(SUCCESS)
})

test('waiting for a connection: new, reused, and timed out', async () => {
  const pool = newPool({ max: 1 })
  const told = listen('pg:pool:connect')
  const client = await pool.connect()
  // Only now: opening a connection may take longer on a busy machine.
  Object.assign(pool.options, { connectionTimeoutMillis: 100 })
  const failure = await pool.query('select 1').catch((error: Error) => error)
  client.release()
  await pool.query('select 1')
  const [first, second, third] = told.filter(({ step }) => step === 'start').map(({ context }) => context)
  const { processID } = client as unknown as { processID: number }
  expect(first).toEqual({ pool: { totalCount: 0, idleCount: 0, waitingCount: 0, maxSize: 1 }, client: { processID, reused: false } })
  expect(second).toEqual({ pool: { totalCount: 1, idleCount: 0, waitingCount: 0, maxSize: 1 }, error: failure })
  expect(third).toEqual({ pool: { totalCount: 1, idleCount: 1, waitingCount: 0, maxSize: 1 }, client: { processID, reused: true } })
  expect(steps(told).filter((step) => step === 'asyncEnd')).toHaveLength(3)
})

test('giving one back, and its leaving the pool', async () => {
  const pool = newPool()
  const released = listenTo('pg:pool:release')
  const removed = listenTo('pg:pool:remove')
  await pool.query('select 1')
  const client = await pool.connect()
  const { processID } = client as unknown as { processID: number }
  client.release(true)
  expect(released).toEqual([
    { client: { processID }, error: undefined },
    { client: { processID }, error: true },
  ])
  expect(removed).toEqual([{ client: { processID } }])
})

test('a statement that is sent again is one statement, on the connection that answered; what the pool asks for itself is none', async () => {
  const pool = newPool({ max: 3, trustMillis: 0 })
  for (const client of await Promise.all([1, 2, 3].map(() => pool.connect()))) client.release()
  const told = listen('pg:query')
  const outcomes = listenTo('thaw:outcome')
  proxy.cut('rst-on-next-byte')
  await pool.query('select 3')
  const holder = await pool.connect()
  holder.release()
  const { processID } = holder as unknown as { processID: number }
  expect(texts(told)).toEqual(['select 3'])
  expect(steps(told)).toEqual(SUCCESS)
  expect(outcomes).toContainEqual(expect.objectContaining({ type: 'outcome', action: 'retried' }))
  expect(told[0]?.context['client']).toMatchObject({ processID })
})

/** As node-postgres#3650 would have it. */
class PublishingClient extends pg.Client {
  override query(...values: unknown[]): never {
    const [text] = values
    const publish = tracingChannel('pg:query')
    const context = { query: { text }, by: 'pg' }
    const { query } = pg.Client.prototype as unknown as { readonly query: (...values: unknown[]) => never }
    return publish.start.runStores(context, () => query.apply(this, values)) as never
  }
}

test('what the driver publishes by itself is not published twice', async () => {
  const pool = newPool({}, PublishingClient as never)
  const told = listen('pg:query')
  await pool.query('select 1')
  await pool.query('select 2')
  const client = await pool.connect()
  await client.query('select 3')
  client.release()
  expect(texts(told)).toEqual(['select 1', 'select 2', 'select 3'])
  expect(told.every(({ context }) => context['by'] === 'pg')).toBe(true)
})

test('a store that is bound to a channel is there while the statement is sent, and not for what its caller does next', async () => {
  const pool = newPool({ max: 1 })
  await pool.query('select 1')
  const current = new AsyncLocalStorage<unknown>()
  for (const name of ['pg:query', 'pg:pool:connect']) {
    const { start } = tracingChannel(name)
    start.bindStore(current, () => name)
    undo.push(() => start.unbindStore(current))
  }
  const seen: unknown[] = []
  await current.run('request', async () => {
    await pool.query('select 1')
    seen.push(current.getStore())
    const holder = await pool.connect()
    seen.push(current.getStore())
    const waiting = new Promise<void>((resolve) =>
      pool.connect((_error, client) => {
        seen.push(current.getStore())
        client?.release()
        resolve()
      }),
    )
    holder.release()
    await waiting
  })
  expect(seen).toEqual(['request', 'request', 'request'])
})

test("Thaw's own events, each on its channel, with the pool, which is not printed", async () => {
  const clock = createStoppableClock()
  const pool = newPool({ clock, trustMillis: 60_000, password: 'postgres' })
  await pool.query('select 1')
  const heard = new Map(EVENT_TYPES.map((type) => [type, listenTo(`thaw:${type}`)]))
  const subscribed: ThawEvent[] = []
  pool.subscribe((event) => void subscribed.push(event))
  clock.addWall(60_000)
  await pool.query('select 1')
  const told = [...heard.values()].flat()
  expect(told.length).toBeGreaterThan(1)
  expect(told).toEqual(expect.arrayContaining(subscribed))
  expect(told).toHaveLength(subscribed.length)
  for (const message of told) {
    expect(message['pool']).toBe(pool)
    expect(inspect(message)).not.toContain('postgres')
  }
})

test('a channel is listened to when the pool has long been there, and no longer', async () => {
  const pool = newPool({ trustMillis: 60_000 })
  await pool.query('select 1')
  const told: unknown[] = []
  const listener = (message: unknown) => void told.push(message)
  subscribe('thaw:acquired', listener)
  await pool.query('select 1')
  unsubscribe('thaw:acquired', listener)
  expect(channel('thaw:acquired').hasSubscribers).toBe(false)
  await pool.query('select 1')
  expect(told).toEqual([{ type: 'acquired', how: 'trusted', waitedMillis: 0 }])
})

test('a subscriber that throws is an uncaught exception, as Node has it; the statement is answered', async () => {
  const script = `
    const { subscribe, tracingChannel } = require('node:diagnostics_channel')
    const { Pool } = require('@thaw/pg')
    const thrower = () => { throw new Error('subscriber') }
    const uncaught = []
    process.on('uncaughtException', ({ message }) => uncaught.push(message))
    for (const name of ['thaw:acquired', 'thaw:connected']) subscribe(name, thrower)
    tracingChannel('pg:query').subscribe({ start: thrower, end: thrower, asyncStart: thrower, asyncEnd: thrower, error: thrower })
    tracingChannel('pg:pool:connect').subscribe({ start: thrower, end: thrower, asyncStart: thrower, asyncEnd: thrower, error: thrower })
    const pool = new Pool({ connectionString: ${JSON.stringify(server.url)}, max: 1 })
    Promise.all([1, 2, 3].map((x) => pool.query('select ' + x + ' as x').then(({ rows }) => rows[0].x)))
      .then(async (answers) => { await pool.end(); setImmediate(() => console.log(JSON.stringify({ answers, uncaught: uncaught.length > 10, all: [...new Set(uncaught)] }))) })`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { cwd: import.meta.dirname })
  expect(JSON.parse(stdout)).toEqual({ answers: [1, 2, 3], uncaught: true, all: ['subscriber'] })
})

test.each([
  ['no getBuiltinModule', 'undefined'],
  ['one that throws', '() => { throw new Error("none here") }'],
  ['one that knows no such module', '(name) => name.includes("diagnostics") ? undefined : original(name)'],
])('a runtime with %s misses nothing but the channels', async (_, replacement) => {
  const script = `
    const { subscribe } = require('node:diagnostics_channel')
    const original = process.getBuiltinModule
    process.getBuiltinModule = ${replacement}
    const { Pool } = require('@thaw/pg')
    const told = { channel: 0, events: [] }
    subscribe('thaw:acquired', () => told.channel++)
    const pool = new Pool({ connectionString: ${JSON.stringify(server.url)} })
    pool.subscribe(({ type }) => told.events.push(type))
    pool.query('select 1 as x').then(async ({ rows }) => {
      await pool.end()
      console.log(JSON.stringify({ rows, ...told }))
    })`
  const { stdout } = await promisify(execFile)(process.execPath, ['-e', script], { cwd: import.meta.dirname })
  expect(JSON.parse(stdout)).toEqual({ rows: [{ x: 1 }], channel: 0, events: ['connected', 'acquired', 'released', 'drained'] })
})

test('a statement that goes out with others of a transaction or batch has a result', async () => {
  const pool = newPool()
  await pool.query('select 1')
  const told = listen('pg:query')
  const results = () =>
    told
      .splice(0)
      .flatMap(({ step, context: { query, result } }) => (step === 'asyncEnd' ? [[(query as { text: string }).text, result]] : []))
  await pool.transaction((client) => client.query('insert into orders values (1), (2)'))
  expect(results()).toEqual([
    ['insert into orders values (1), (2)', { rowCount: 2, command: 'INSERT' }],
    ['COMMIT', { rowCount: null, command: 'COMMIT' }],
  ])
  await pool.batch(['insert into orders values (3)', 'select 1'])
  expect(results()).toEqual([['insert into orders values (3); select 1', { rowCount: 1, command: 'SELECT' }]])
  await pool.query({ text: 'insert into orders values (4)', once: true })
  expect(results()).toContainEqual(['insert into orders values (4)', { rowCount: 1, command: 'INSERT' }])
})

test('callbacks run between asyncStart and asyncEnd; those of a client in the stores that are bound to asyncStart', async () => {
  const pool = newPool()
  const storage = new AsyncLocalStorage<string>()
  for (const name of ['pg:query', 'pg:pool:connect', 'pg:connection']) {
    const { asyncStart } = tracingChannel(name)
    asyncStart.bindStore(storage, () => name)
    undo.push(() => asyncStart.unbindStore(storage))
  }
  const seen: (readonly [string, string | undefined])[] = []
  const waits = listen('pg:pool:connect')
  const told = listen('pg:query')
  const client = await new Promise<pg.PoolClient>((resolve) =>
    pool.connect((_, opened) => {
      seen.push([steps(waits).join(), storage.getStore()])
      resolve(opened as pg.PoolClient)
    }),
  )
  await new Promise<void>((resolve) =>
    client.query('select 1', () => {
      seen.push([steps(told).join(), storage.getStore()])
      resolve()
    }),
  )
  client.release()
  expect(steps(told)).toEqual(SUCCESS)
  told.length = 0
  await new Promise<void>((resolve) =>
    pool.query('select 1', () => {
      seen.push([steps(told).join(), storage.getStore()])
      resolve()
    }),
  )
  // The callbacks of the pool's own methods run in their caller's context.
  expect(seen).toEqual([
    ['start,end,asyncStart', undefined],
    ['start,end,asyncStart', 'pg:query'],
    ['start,end,asyncStart', undefined],
  ])
  expect(steps(told)).toEqual(SUCCESS)
  const lone = new Client({ connectionString: server.url })
  const connects = listen('pg:connection')
  await new Promise<void>((resolve) =>
    lone.connect(() => {
      seen.push([steps(connects).join(), storage.getStore()])
      resolve()
    }),
  )
  expect(seen.at(-1)).toEqual(['start,end,asyncStart', 'pg:connection'])
  await lone.end()
})
