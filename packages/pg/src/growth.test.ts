/**
 * A caller that holds a connection and asks the pool for another one.
 *
 * What broke: on Lambda a pool has one connection by default. A transaction that used the pool inside itself waited for itself, until
 * `connectionTimeoutMillis`; plain pg, whose default is ten, answers. With `max` given, plain pg waits for itself just so.
 */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import Cursor from 'pg-cursor'
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest'
import { AcquireTimeoutError, Pool, type PoolConfig } from './index.ts'

/** A second, which is the default, is little on a busy machine. */
const PATIENCE = { timeout: 20_000 }

let server: PostgresServer
const pools: stock.Pool[] = []

beforeAll(async () => {
  server = await startPostgres()
})
afterEach(async () => {
  vi.unstubAllEnvs()
  for (const pool of pools.splice(0)) await pool.end()
})
afterAll(() => server.close())

type Env = Readonly<Record<string, string>>
const LAMBDA: Env = { AWS_LAMBDA_FUNCTION_NAME: 'orders' }
const MANAGED: Env = { ...LAMBDA, AWS_LAMBDA_MAX_CONCURRENCY: '16' }
const VERCEL: Env = { VERCEL: '1', VERCEL_REGION: 'fra1' }

function createPool(env: Env, config: PoolConfig = {}): Pool {
  for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
  const pool = new Pool({ connectionString: server.url, hedge: false, ...config })
  pools.push(pool)
  return pool
}

/** From here on, callers that wait for a connection give up soon. Not from the start: opening one takes its time on a slow machine. */
async function losePatience<P extends stock.Pool>(pool: P): Promise<P> {
  const clients = await Promise.all(Array.from({ length: pool.options.max }, () => pool.connect()))
  for (const client of clients) client.release()
  Object.assign(pool.options, { connectionTimeoutMillis: 300 })
  return pool
}

/** A statement that runs until it is told to end. */
function runLong(pool: stock.Pool): () => Promise<void> {
  const ended = pool.query('select pg_sleep(60)').catch((error: { code?: string }) => expect(error.code).toBe('57014'))
  return async () => {
    await server.query("select pg_cancel_backend(pid) from pg_stat_activity where query like 'select pg_sleep(60)%' and state = 'active'")
    await ended
  }
}

/** Holds a client, and wants something of the pool before giving it back. */
async function nest(pool: stock.Pool, inner: () => Promise<unknown> = () => pool.query('select 1')): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    await inner()
    await client.query('commit')
  } finally {
    client.release()
  }
}

const together = (times: number, work: () => Promise<void>) => Promise.all(Array.from({ length: times }, work))

describe('with the default of the platform', () => {
  test.each<[string, Env, number]>([
    ['Lambda', LAMBDA, 1],
    ['a managed instance', MANAGED, 2],
    ['Vercel', VERCEL, 5],
  ])('a pool that waits for its own holders gets one connection more, and keeps it: %s', async (_, env, max) => {
    const pool = createPool(env)
    expect(pool.options.max).toBe(max)
    await together(max, () => nest(pool))
    expect(pool.options.max).toBe(max + 1)
    // The next invocation neither waits nor dials.
    await together(max, () => nest(pool))
    expect([pool.options.max, pool.stats().connected]).toEqual([max + 1, max + 1])
    expect([pool.waitingCount, pool.idleCount, pool.totalCount]).toEqual([0, max + 1, max + 1])
  })

  test.each([
    ['a transaction inside another one', (pool: stock.Pool) => nest(pool, () => nest(pool))],
    ['three deep', (pool: stock.Pool) => nest(pool, () => nest(pool, () => nest(pool)))],
    ['several transactions at once', (pool: stock.Pool) => together(4, () => nest(pool))],
    ['what its cursor reads is looked up', readAndLookUp],
  ])('%s is served, as by plain pg', async (_, work) => {
    const plain = new stock.Pool({ connectionString: server.url })
    pools.push(plain)
    await work(plain)
    await work(createPool(LAMBDA))
  })

  test.each([
    ['a row that another holder has locked', lockTheSameRow, LAMBDA],
    ['a row that another holder has locked, on Vercel', lockTheSameRow, VERCEL],
    ['rows of the pool are copied in', copyIn, LAMBDA],
    ['a holder that asks until the pool has answered', askUntilAnswered, LAMBDA],
  ])('a holder that waits for the pool while its connection is at work is served, as by plain pg: %s', async (_, work, env) => {
    const plain = new stock.Pool({ connectionString: server.url })
    pools.push(plain)
    await work(plain)
    await work(createPool(env))
  })

  test('a connection that runs a statement is waited for', async () => {
    const pool = createPool(LAMBDA)
    const holder = nest(pool, async () => {})
    await holder
    const client = await pool.connect()
    const slow = client.query('select pg_sleep(0.3)').finally(() => client.release())
    await Promise.all([slow, pool.query('select 1'), pool.query('select 2')])
    expect([pool.options.max, pool.stats().connected]).toEqual([1, 1])
  })

  test('it grows to what plain pg has by default, and no further', async () => {
    const pool = createPool(LAMBDA)
    const clients = await Promise.all(Array.from({ length: 10 }, () => pool.connect()))
    expect(pool.options.max).toBe(10)
    Object.assign(pool.options, { connectionTimeoutMillis: 300 })
    await expect(pool.query('select 1')).rejects.toBeInstanceOf(AcquireTimeoutError)
    for (const client of clients) client.release()
    await expect.poll(() => pool.idleCount, PATIENCE).toBe(10)
  })
})

describe('with max given', () => {
  test('plain pg waits for itself; so does Thaw, and says what it looks like', async () => {
    const plain = new stock.Pool({ connectionString: server.url, max: 1 })
    pools.push(plain)
    await losePatience(plain)
    await expect(nest(plain)).rejects.toThrow('timeout exceeded when trying to connect')
    for (const given of [{ max: 1 }, { max: '1' as never }, { poolSize: 1 } as PoolConfig]) {
      const pool = await losePatience(createPool(LAMBDA, given))
      const error = await nest(pool).catch((reason) => reason)
      expect(error).toBeInstanceOf(AcquireTimeoutError)
      expect(error.stage).toBe('wait')
      expect(error.message).toMatch(
        /^timeout exceeded when trying to connect: .* the only connection to .* was held by a caller that ran nothing/,
      )
      expect(error.message).toContain('Inside a transaction, run every statement on its client; or raise max.')
      expect(pool.options.max).toBe(1)
    }
  })

  test('where some connections are held by callers that run nothing, the error says so', async () => {
    const pool = await losePatience(createPool({}, { max: 2 }))
    const client = await pool.connect()
    const cancel = runLong(pool)
    await expect(pool.query('select 1')).rejects.toThrow(
      'in use, 1 of them by callers that ran nothing on them. Is such a caller itself waiting',
    )
    client.release()
    await cancel()
  })

  test('connections that run statements are told as ever', async () => {
    const pool = await losePatience(createPool({}, { max: 1 }))
    const cancel = runLong(pool)
    await expect(pool.query('select 1')).rejects.toThrow('the only connection to the database was in use')
    await cancel()
  })
})

/** `for await` over rows, with a statement on the pool for each. */
async function readAndLookUp(pool: stock.Pool): Promise<void> {
  const client = await pool.connect()
  const cursor = client.query(new Cursor('select n from generate_series(1, 3) n'))
  for (let rows = await cursor.read(1); rows.length > 0; rows = await cursor.read(1)) await pool.query('select 1')
  await cursor.close()
  client.release()
}

/** A batch: each locks the same table in a transaction, and uses the pool inside it. */
async function lockTheSameRow(pool: stock.Pool): Promise<void> {
  await server.query('create table if not exists hot (n int)')
  const work = async () => {
    const client = await pool.connect()
    await client.query('begin')
    await client.query('lock table hot in exclusive mode')
    await pool.query('select 1')
    await client.query('commit')
    client.release()
  }
  await Promise.all(Array.from({ length: 6 }, work))
}

/** COPY ... FROM STDIN, by hand: its rows come from the pool. */
async function copyIn(pool: stock.Pool): Promise<void> {
  const client = await pool.connect()
  await client.query('create temp table copied (n int)')
  const { connection } = client as unknown as { readonly connection: CopyConnection }
  const begun = new Promise((resolve) => connection.once('copyInResponse', resolve))
  const query = new stock.Query('copy copied from stdin')
  const ended = new Promise((resolve) => query.once('end', resolve))
  Object.assign(query, { handleCopyInResponse() {} })
  client.query(query)
  await begun
  const { rows } = await pool.query<{ n: number }>('select 1 as n')
  connection.sendCopyFromChunk(Buffer.from(`${rows[0]?.n}\n`))
  connection.endCopyFrom()
  await ended
  client.release()
}

interface CopyConnection {
  once(name: 'copyInResponse', listener: (value: unknown) => void): void
  sendCopyFromChunk(chunk: Buffer): void
  endCopyFrom(): void
}

async function askUntilAnswered(pool: stock.Pool): Promise<void> {
  const client = await pool.connect()
  let isAnswered = false
  const answer = pool.query('select 1').finally(() => {
    isAnswered = true
  })
  while (!isAnswered) await client.query('select pg_sleep(0.01)')
  await answer
  client.release()
}
