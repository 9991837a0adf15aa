/**
 * A value that cannot be sent (a circular object, a `toPostgres()` that throws), on a client that a caller holds.
 *
 * What breaks: plain `pg` has the server close the statement, but takes its name for parsed: each later statement of that name on the connection fails with 26000, its next callers' too. It tells the callback twice, first of
 * the error and then of a success. Neon's driver sends no Sync: the connection hangs for ever. Under a name that the server has already it writes nothing at all. With Thaw the error is told once,
 * and the next statement is answered.
 */

import { Client as StockNeonClient } from '@neondatabase/serverless'
import { Pool as NeonPool } from '@thaw/neon'
import { Pool as ThawPool } from '@thaw/pg'
import pg from 'pg'
import { afterEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'

useOneNeon()

const circular: { self?: object } = {}
circular.self = circular
const NAMED = { name: 'get', text: 'select $1::json as value' }
const UNNAMED = { text: 'select $1::json as value' }

let pool: pg.Pool
afterEach(async () => {
  if (pool && !pool.ending) await pool.end()
})

type Driver = 'pg' | '@thaw/pg' | '@thaw/pg, pipelined' | '@thaw/neon'

function openPool(driver: Driver): pg.Pool {
  const config = { connectionString: neon.postgres.url, max: 1, pipeline: driver.endsWith('pipelined') }
  if (driver === 'pg') pool = new pg.Pool(config as pg.PoolConfig)
  else if (driver === '@thaw/neon') pool = new NeonPool({ connectionString: neon.url, max: 1 }) as unknown as pg.Pool
  else pool = new ThawPool(config)
  return pool
}

const onlyValue = ({ rows }: pg.QueryResult) => rows[0]?.value as unknown

async function failure(work: Promise<unknown>): Promise<string> {
  return work.then(
    () => 'none',
    ({ code, name }: Error & { code?: string }) => code ?? name,
  )
}

test('plain pg: the name is of no use any more, and the callback is told twice', async () => {
  const client = await openPool('pg').connect()
  const told: string[] = []
  client.query({ ...NAMED, values: [circular] }, (error: unknown) => told.push(error ? 'error' : 'result'))
  expect(await failure(client.query({ ...NAMED, values: [{ a: 1 }] }))).toBe('26000')
  expect(told).toEqual(['error', 'result'])
  client.release()
  const next = await pool.connect()
  expect(await failure(next.query({ ...NAMED, values: [{ a: 1 }] }))).toBe('26000')
  next.release()
})

test("Neon's own driver hangs", async () => {
  const client = new StockNeonClient(neon.url)
  await client.connect()
  await expect(client.query({ ...UNNAMED, values: [circular] })).rejects.toThrow('circular')
  const next = client.query('select 1').then(
    () => 'answered',
    () => 'ended',
  )
  expect(await Promise.race([next, new Promise((resolve) => setTimeout(() => resolve('hangs'), 2000))])).toBe('hangs')
  await client.end()
})

describe.each(['@thaw/pg', '@thaw/pg, pipelined', '@thaw/neon'] as const)('%s', (driver) => {
  test.each([
    ['under a name', NAMED],
    ['without a name', UNNAMED],
  ])('%s: told once, and the next statements are answered', async (_name, statement) => {
    const client = await openPool(driver).connect()
    const pid = (await client.query('select pg_backend_pid() as pid')).rows[0]?.pid
    const told: string[] = []
    client.query({ ...statement, values: [circular] }, (error: unknown) => told.push(error ? 'error' : 'result'))
    const behind = [1, 2].map((a) => client.query({ ...statement, values: [{ a }] }))
    expect((await Promise.all(behind)).map(onlyValue)).toEqual([{ a: 1 }, { a: 2 }])
    expect(onlyValue(await client.query({ ...statement, values: [{ a: 3 }] }))).toEqual({ a: 3 })
    client.release()
    const next = await pool.connect()
    expect(onlyValue(await next.query({ ...statement, values: [{ a: 4 }] }))).toEqual({ a: 4 })
    next.release()
    expect(onlyValue(await pool.query({ ...statement, values: [{ a: 5 }] }))).toEqual({ a: 5 })
    expect((await pool.query('select pg_backend_pid() as pid')).rows[0]?.pid).toBe(pid)
    expect(told).toEqual(['error'])
  })
})

describe.each(['@thaw/pg', '@thaw/pg, pipelined', '@thaw/neon'] as const)('%s: under a name that the server has already', (driver) => {
  const SOON = 1500
  // Neon's driver writes the callback into what it is given.
  const statement = () => ({ ...NAMED, values: [circular] })
  const Query = driver === '@thaw/neon' ? (StockNeonClient as unknown as { Query: typeof pg.Query }).Query : pg.Query

  type Send = (client: pg.PoolClient, told: (what: string) => void) => unknown
  test.each<[string, Send]>([
    ['by a callback', (client, told) => client.query(statement(), (error: unknown) => told(error ? 'error' : 'result'))],
    [
      'by a promise',
      (client, told) =>
        client.query(statement()).then(
          () => told('result'),
          () => told('error'),
        ),
    ],
    [
      'by a callback that throws',
      (client, told) =>
        expect(() =>
          client.query(statement(), (error: unknown) => {
            told(error ? 'error' : 'result')
            throw new Error('a bug of the user')
          }),
        ).toThrow('a bug of the user'),
    ],
    [
      'by an event',
      (client, told) => {
        const query = new Query(statement())
        query.on('error', () => told('error'))
        client.query(query)
      },
    ],
  ])('told once, %s, and the next statements are answered at once', async (_name, send) => {
    const client = await openPool(driver).connect()
    expect(onlyValue(await client.query({ ...NAMED, values: [{ a: 1 }] }))).toEqual({ a: 1 })
    const { pid } = (await client.query('select pg_backend_pid() as pid')).rows[0]
    const told: string[] = []
    const start = performance.now()
    send(client, (what) => told.push(what))
    const behind = [2, 3].map((a) => client.query({ ...NAMED, values: [{ a }] }))
    expect((await Promise.all(behind)).map(onlyValue)).toEqual([{ a: 2 }, { a: 3 }])
    client.release()
    expect(onlyValue(await pool.query({ ...NAMED, values: [{ a: 4 }] }))).toEqual({ a: 4 })
    expect((await pool.query('select pg_backend_pid() as pid')).rows[0]).toEqual({ pid })
    expect(performance.now() - start).toBeLessThan(SOON)
    expect(told).toEqual(['error'])
  })

  test('inside a transaction: it goes on', async () => {
    const client = await openPool(driver).connect()
    await client.query('begin')
    await client.query({ ...NAMED, values: [{ a: 1 }] })
    const start = performance.now()
    await expect(client.query(statement())).rejects.toThrow('circular')
    expect(onlyValue(await client.query({ ...NAMED, values: [{ a: 2 }] }))).toEqual({ a: 2 })
    expect((await client.query('commit')).command).toBe('COMMIT')
    expect(performance.now() - start).toBeLessThan(SOON)
    client.release()
  })
})

describe.each(['@thaw/pg', '@thaw/pg, pipelined', '@thaw/neon'] as const)('%s: the value closes the connection, too', (driver) => {
  type Asking = (given: ThawPool, config: pg.QueryConfig, told: (error: unknown) => void) => Promise<unknown>
  const onClient: Asking = async (_, config, told) => {
    const client = await pool.connect()
    client.on('error', () => {})
    await client.query({ ...config, values: [1] })
    await new Promise<void>((resolve) => {
      client.query(config, (error: unknown) => {
        told(error)
        resolve()
      })
    })
    await new Promise((resolve) => client.once('end', resolve))
    client.release()
  }
  const flights: [string, Asking][] = [
    ['transaction()', (given, config, told) => given.transaction((sql) => sql.query(config)).catch(told)],
    ['batch()', (given, config, told) => given.batch([config, 'select 1'] as never).catch(told)],
  ]
  // None in pipeline mode.
  const askings: [string, Asking][] = [['client.query()', onClient], ...(driver.endsWith('pipelined') ? [] : flights)]

  test.each(askings.flatMap(([how, ask]) => [NAMED, UNNAMED].map((statement) => [how, ask, statement] as const)))(
    'told once, by %s',
    async (_how, ask, statement) => {
      openPool(driver).on('error', () => {})
      let current: pg.Client | undefined
      pool.on('acquire', (client) => {
        current = client as unknown as pg.Client
      })
      const value = {
        toPostgres() {
          ;(current as unknown as { connection: pg.Connection }).connection.stream.destroy()
          throw new Error('planted')
        },
      }
      const told: string[] = []
      await ask(pool as ThawPool, { ...statement, values: [value] }, (error) => told.push(String(error)))
      expect(onlyValue(await pool.query({ ...statement, values: [{ a: 1 }] }))).toEqual({ a: 1 })
      expect(told).toEqual(['Error: planted'])
    },
  )
})
