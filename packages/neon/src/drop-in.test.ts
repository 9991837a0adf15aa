/** It is Neon's driver: everything that works with that works with this. */

import * as stock from '@neondatabase/serverless'
import { terminateSessions } from '@thaw/testkit'
import { afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { WebSocket as WsWebSocket } from 'ws'
import { neon, useOneNeon } from '../test/one-neon.ts'
import * as thaw from './index.ts'

useOneNeon()

let pool: thaw.Pool

beforeAll(() => neon.postgres.query('CREATE TABLE orders (id int PRIMARY KEY)'))
afterEach(async () => {
  Object.assign(stock.neonConfig, {
    poolQueryViaFetch: false,
    pipelineConnect: 'password',
    webSocketConstructor: undefined,
    coalesceWrites: true,
  })
  if (pool && !pool.ending) await pool.end()
})

function createPool(config: thaw.PoolConfig = {}): thaw.Pool {
  pool = new thaw.Pool({ connectionString: neon.url, ...config })
  return pool
}

test('every name of the driver is there', () => {
  expect(Object.keys(thaw)).toEqual(expect.arrayContaining(Object.keys(stock)))
  expect(thaw.neonConfig).toBe(stock.neonConfig)
})

test.each([false, true])("behind a Proxy of the user's, over HTTP: %s", async (poolQueryViaFetch) => {
  stock.neonConfig.poolQueryViaFetch = poolQueryViaFetch
  const front = new Proxy(createPool(), {})
  expect((await front.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  expect((await front.batch([{ text: 'SELECT 2 AS two' }]))[0]?.rows).toEqual([{ two: 2 }])
  const client = await front.connect()
  expect((await new Proxy(client, {}).query('SELECT 3 AS three')).rows).toEqual([{ three: 3 }])
  client.release()
})

describe('Pool and Client', () => {
  test('are of the classes that ORMs look for', async () => {
    createPool()
    expect(pool).toBeInstanceOf(stock.Pool)
    expect(pool.constructor.name).toBe('Pool')
    const client = await pool.connect()
    expect(client).toBeInstanceOf(stock.Client)
    expect(client).toBeInstanceOf(thaw.Client)
    // What is put on its prototype is there for a pool's clients, as with the driver.
    expect(Object.getPrototypeOf(client)).toBe(thaw.Client.prototype)
    client.release()
    expect(new thaw.Client(neon.url)).toBeInstanceOf(stock.Client)
  })

  test.for([
    ['as it comes', {}],
    ['without pipelineConnect', { pipelineConnect: false }],
    ['without coalescing', { coalesceWrites: false }],
    ['on the WebSocket of the package ws', { webSocketConstructor: WsWebSocket }],
  ] as const)('%s: promises, callbacks, parameters, transactions, errors', async ([, config]) => {
    Object.assign(stock.neonConfig, config)
    createPool({ max: 2 })
    expect((await pool.query('SELECT $1::int AS id, $2 AS note', [1, 'x'])).rows).toEqual([{ id: 1, note: 'x' }])
    const byCallback = new Promise((resolve, reject) =>
      pool.query('SELECT 2 AS id', (error, result) => (error ? reject(error) : resolve(result.rows))),
    )
    expect(await byCallback).toEqual([{ id: 2 }])
    const client = await pool.connect()
    await client.query('BEGIN')
    await client.query('INSERT INTO orders VALUES (1)')
    await client.query('ROLLBACK')
    client.release()
    await expect(pool.query('SELECT nope')).rejects.toMatchObject({ code: '42703', severity: 'ERROR' })
    const large = 'x'.repeat(300_000)
    expect((await pool.query('SELECT $1::text AS large', [large])).rows).toEqual([{ large }])
    const lone = new thaw.Client(neon.url)
    await lone.connect()
    expect((await lone.query('SELECT 3 AS id')).rows).toEqual([{ id: 3 }])
    await lone.end()
  })

  test('a wrong password fails the connection attempt, not the first statement', async () => {
    createPool({ connectionString: neon.url.replace(/:[^:@]*@/, ':wrong@') })
    await expect(pool.connect()).rejects.toMatchObject({ code: '28P01' })
    await expect(new thaw.Client(neon.url.replace(/:[^:@]*@/, ':wrong@')).connect()).rejects.toMatchObject({ code: '28P01' })
  })

  test('a client alone whose server does not answer: the time is up, and its socket is closed', async () => {
    await neon.compute.deafen()
    onTestFinished(() => neon.compute.accept())
    const lone = new thaw.Client({ connectionString: neon.url, connectionTimeoutMillis: 200 })
    await expect(lone.connect()).rejects.toThrow(/^timeout expired$/)
    expect(lone).toMatchObject({ connection: { stream: { destroyed: true } } })
  })

  test('the password function is called for each connection attempt', async () => {
    let asked = 0
    const { user, host, port, database, password } = neon.postgres
    const ask = () => (++asked === 1 ? 'expired' : password)
    createPool({ connectionString: undefined, user, host, port, database, password: ask } as thaw.PoolConfig)
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    expect(asked).toBe(2)
  })

  test('no listener is needed, and a lone client that dies does not end the process', async () => {
    createPool({ connectionString: `${neon.url}?application_name=killed` })
    await pool.query('SELECT 1')
    const client = new thaw.Client(`${neon.url}?application_name=killed`)
    await client.connect()
    const ended = new Promise<void>((resolve) => client.once('end', () => resolve()))
    expect(await terminateSessions(neon.postgres, 'killed')).toBe(2)
    await ended
    await expect(client.query('SELECT 1')).rejects.toMatchObject({ kind: 'connection-lost', outcome: 'not-executed' })
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })
})

describe('poolQueryViaFetch', () => {
  test('goes over HTTP, however the pool is watched by us', async () => {
    stock.neonConfig.poolQueryViaFetch = true
    createPool()
    const events: thaw.ThawEvent[] = []
    pool.subscribe((event) => events.push(event))
    pool.on('error', () => {})
    const { requests, webSockets } = neon.counters
    expect((await pool.query('SELECT $1::int AS id', [1])).rows).toEqual([{ id: 1 }])
    expect((await pool.query({ text: 'SELECT $1::int AS id', values: [2], rowMode: 'array' } as stock.QueryConfig)).rows).toEqual([[2]])
    neon.answerNext(503)
    const byCallback = new Promise((resolve, reject) =>
      pool.query('SELECT 3 AS id', (error, result) => (error ? reject(error) : resolve(result.rows))),
    )
    expect(await byCallback).toEqual([{ id: 3 }])
    expect([neon.counters.requests - requests, neon.counters.webSockets - webSockets]).toEqual([4, 0])
    await expect(pool.query({ text: 'SELECT pg_sleep(20)', query_timeout: 50 })).rejects.toMatchObject({ kind: 'deadline' })
  })

  test.each([
    [
      'by options',
      () => createPool({ application_name: 'my app', statement_timeout: 4321, lock_timeout: 1234, options: '-c search_path=mine' }),
    ],
    [
      'by the URL',
      () =>
        createPool({
          connectionString: `${neon.url}?application_name=my%20app&statement_timeout=4321&lock_timeout=1234&options=-c%20search_path%3Dmine`,
        }),
    ],
  ])('keeps the settings of the session, as a WebSocket does: %s', async (_, create) => {
    const names = ['application_name', 'statement_timeout', 'lock_timeout', 'search_path']
    const text = `SELECT ${names.map((name) => `current_setting('${name}') AS ${name}`)}`
    for (const isFetched of [false, true]) {
      stock.neonConfig.poolQueryViaFetch = isFetched
      create()
      const { requests } = neon.counters
      const { rows } = await pool.query(text)
      expect(neon.counters.requests - requests).toBe(isFetched ? 1 : 0)
      expect(rows).toEqual([{ application_name: 'my app', statement_timeout: '4321ms', lock_timeout: '1234ms', search_path: 'mine' }])
      await pool.end()
    }
    create()
  })

  test('ends a statement after its statement_timeout', async () => {
    stock.neonConfig.poolQueryViaFetch = true
    createPool({ statement_timeout: 100 })
    await expect(pool.query('SELECT pg_sleep(5)')).rejects.toMatchObject({ name: 'NeonDbError', code: '57014' })
  })

  test('does not, if there is a listener for connections', async () => {
    stock.neonConfig.poolQueryViaFetch = true
    createPool()
    pool.on('connect', () => {})
    const { requests } = neon.counters
    await pool.query('SELECT 1')
    expect(neon.counters.requests).toBe(requests)
  })
})

describe('neon()', () => {
  test('composes, transacts and answers as the driver does', async () => {
    for (const connect of [stock.neon, thaw.neon] as (typeof stock.neon)[]) {
      const sql = connect(neon.url)
      const id = sql`${7}::int`
      expect(await sql`SELECT ${id} AS id, ${sql.unsafe('1 + 1')} AS two`).toEqual([{ id: 7, two: 2 }])
      expect(await sql.query('SELECT $1::int AS id', [1], { arrayMode: true })).toEqual([[1]])
      expect(await connect(neon.url, { fullResults: true })`SELECT 1 AS one`).toMatchObject({
        command: 'SELECT',
        rowCount: 1,
        rows: [{ one: 1 }],
      })
      const list = await sql.transaction((own) => [own`SHOW transaction_read_only`, own`SELECT 2 AS two`], { readOnly: true })
      expect(list).toEqual([[{ transaction_read_only: 'on' }], [{ two: 2 }]])
      await expect(sql`SELECT nope`.then((rows) => rows)).rejects.toBeInstanceOf(stock.NeonDbError)
      await expect(sql.transaction([1] as never)).rejects.toThrow('transaction() expects an array')
      expect(() => (sql as unknown as (text: string) => void)('SELECT 1')).toThrow('tagged-template')
      const lazy = sql`INSERT INTO orders VALUES (99)`
      expect(lazy).toBeInstanceOf(stock.NeonQueryPromise)
    }
    expect((await neon.postgres.query('SELECT FROM orders')).rowCount).toBe(0)
  })

  test('refuses what it cannot promise, before anything is sent', async () => {
    const before = neon.counters.requests
    const sql = thaw.neon(neon.url)
    const text = 'INSERT INTO orders VALUES (98)'
    const all: [string, object][] = [
      ['once', { once: true }],
      ['idempotencyKey', { idempotencyKey: 'k' }],
      ['idempotencyKey', { idempotencyKey: undefined }],
    ]
    for (const [option, given] of all) {
      const refused = { name: 'OptionError', option, message: expect.stringContaining('pool.batch([…], ') }
      const attempts = [
        async () => thaw.neon(neon.url, given),
        async () => sql.query(text, [], given),
        () => sql.transaction([sql.query(text)], given),
        () => sql.transaction((own) => [(own as unknown as typeof sql).query(text, [], given)] as never),
      ]
      for (const attempt of attempts) await expect(attempt()).rejects.toMatchObject(refused)
    }
    expect(neon.counters.requests).toBe(before)
    const none = { once: false, idempotencyKey: false } as object
    const optional = thaw.neon(neon.url, none)
    expect(await optional.transaction([optional.query('SELECT 1 AS one', [], none)], none)).toEqual([[{ one: 1 }]])
  })
})
