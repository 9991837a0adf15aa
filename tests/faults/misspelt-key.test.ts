/**
 * The name of the key is misspelt.
 *
 * What breaks: `pool.query({ text, idempotencykey: id })`. node-postgres knows neither name and ignores both, so the write goes out without a key: each try is stored once more, and
 * nothing says so. TypeScript finds it only in an object literal.
 */

import { Pool as NeonPool, neonConfig } from '@thaw/neon'
import { Client, Pool } from '@thaw/pg'
import { type PostgresServer, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import Cursor from 'pg-cursor'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { failure } from './setting.ts'

const NAMES: readonly [given: object, option: string, meant: string][] = [
  [{ idempotencykey: 'k' }, 'idempotencykey', 'idempotencyKey'],
  [{ idempotenceKey: 'k' }, 'idempotenceKey', 'idempotencyKey'],
  [{ idempotency_key: 'k' }, 'idempotency_key', 'idempotencyKey'],
  [{ 'idempotency-key': 'k' }, 'idempotency-key', 'idempotencyKey'],
  [{ Once: true }, 'Once', 'once'],
  [{ idempotant: true }, 'idempotant', 'idempotent'],
  [{ Signal: AbortSignal.timeout(10_000) }, 'Signal', 'signal'],
  [{ queryTimeout: 5 }, 'queryTimeout', 'query_timeout'],
]

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})

afterAll(() => server.close())

afterEach(() => {
  neonConfig.poolQueryViaFetch = false
})

const WRITE = { text: 'INSERT INTO payments VALUES (1)' }

async function withTable(pool: stock.Pool, work: () => Promise<void>): Promise<unknown> {
  await pool.query('CREATE TABLE IF NOT EXISTS payments (n int); TRUNCATE payments')
  try {
    await work()
    const { rows } = await pool.query('SELECT count(*)::int AS payments FROM payments')
    return rows[0]?.payments
  } finally {
    await pool.end()
  }
}

test('plain pg stores it twice', async () => {
  const pool = new stock.Pool({ connectionString: server.url, max: 1 })
  const twice = async () => {
    for (let tries = 0; tries < 2; tries++) await pool.query({ ...WRITE, idempotencykey: 'k' } as object as stock.QueryConfig)
  }
  expect(await withTable(pool, twice)).toBe(2)
})

test.each(NAMES)('%o is refused, and nothing is stored', async (given, option, meant) => {
  const pool = new Pool({ connectionString: server.url, max: 1 })
  const config = { ...WRITE, ...given }
  const refused = { name: 'OptionError', option, allowed: meant, message: expect.stringContaining(`Did you mean "${meant}"?`) }
  const calls = async () => {
    expect(await failure(pool.query(config))).toMatchObject(refused)
    const told = await new Promise((tell) => pool.query(config, tell))
    expect(told).toMatchObject(refused)
    expect(await failure(pool.batch([WRITE, config]))).toMatchObject(refused)
    expect(await failure(pool.transaction((client) => client.query(config)))).toMatchObject(refused)
    const client = await pool.connect()
    expect(await failure(client.query(config))).toMatchObject(refused)
    client.release()
    const lone = new Client({ connectionString: server.url })
    await lone.connect()
    expect(await failure(lone.query(config))).toMatchObject(refused)
    await lone.end()
  }
  expect(await withTable(pool, calls)).toBe(0)
})

test.each([[1], ['yes'], [null]])('"idempotent" that is %o is refused, as "once" is', async (idempotent) => {
  const pool = new Pool({ connectionString: server.url, max: 1 })
  const config = { ...WRITE, idempotent } as object as stock.QueryConfig
  const call = async () => {
    expect(await failure(pool.query(config))).toMatchObject({ name: 'OptionError', option: 'idempotent', allowed: 'true or false' })
  }
  expect(await withTable(pool, call)).toBe(0)
})

describe.each([
  ['over a WebSocket', false],
  ['over HTTP', true],
])('@thaw/neon %s', (_way, viaFetch) => {
  test.each(NAMES)('%o is refused', async (given, option) => {
    neonConfig.poolQueryViaFetch = viaFetch
    const pool = new NeonPool({ connectionString: 'postgres://user:password@127.0.0.1:1/db', connectionTimeoutMillis: 200 })
    const config = { ...WRITE, ...given }
    expect(await failure(pool.query(config))).toMatchObject({ name: 'OptionError', option })
    expect(await failure(pool.batch([config]))).toMatchObject({ name: 'OptionError', option })
    await pool.end()
  })
})

describe('passes', () => {
  class Query {
    readonly text = 'SELECT 1 AS n'
    readonly Once = 'a property of its own'
    readonly idempotencykey = 'and another'
  }

  test.each<[string, object]>([
    [
      'every name of node-postgres',
      { text: 'SELECT $1::int AS n', values: [1], name: 'n', rowMode: undefined, types: undefined, binary: false },
    ],
    ['what a library adds', { text: 'SELECT 1 AS n', arrayMode: false, method: 'all', type: 'SELECT', key: 1, timeout: 5, singular: true }],
    ['an own class, whatever its properties', new Query()],
    ['every option of ours', { text: 'SELECT 1 AS n', idempotent: true, signal: undefined, query_timeout: 5000 }],
    ['none, on purpose', { text: 'SELECT 1 AS n', once: false, idempotencyKey: false, idempotent: undefined }],
    ['no prototype', Object.assign(Object.create(null), { text: 'SELECT 1 AS n', meta: {} })],
  ])('%s', async (_what, config) => {
    const pool = new Pool({ connectionString: server.url, max: 1 })
    for (let times = 0; times < 3; times++) expect((await pool.query(config as stock.QueryConfig)).rows).toEqual([{ n: 1 }])
    await pool.end()
  })

  test('a cursor', async () => {
    const pool = new Pool({ connectionString: server.url, max: 1 })
    const client = await pool.connect()
    const cursor = client.query(Object.assign(new Cursor('SELECT 1 AS n'), { Once: true }))
    expect(await cursor.read(1)).toEqual([{ n: 1 }])
    await cursor.close()
    client.release()
    await pool.end()
  })
})
