/**
 * A value that cannot be sent (a circular object, a `toPostgres()` that throws), on a client that a caller holds.
 *
 * What breaks: plain `pg` has the server close the statement, but takes its name for parsed: each later statement of that name on the connection fails with 26000, its next callers' too. It tells the callback twice, first of
 * the error and then of a success. Neon's driver sends no Sync: the connection hangs for ever. With Thaw the error is told once, and the next statement is answered.
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

// Not with Neon's driver: it writes nothing then, as if a wrapper had put it off, so that the connection is silent, and lost after two to four seconds.
test.each(['@thaw/pg', '@thaw/pg, pipelined'] as const)(
  '%s: under a name that the server has already: it is prepared again',
  async (driver) => {
    const client = await openPool(driver).connect()
    expect(onlyValue(await client.query({ ...NAMED, values: [{ a: 1 }] }))).toEqual({ a: 1 })
    await expect(client.query({ ...NAMED, values: [circular] })).rejects.toThrow('circular')
    expect(onlyValue(await client.query({ ...NAMED, values: [{ a: 2 }] }))).toEqual({ a: 2 })
    client.release()
  },
)
