/**
 * Writes that no lexer can see: a view over a function that writes. Each statement looks like a read.
 *
 * What breaks: the connection, at the end of a batch, or at COMMIT. With plain `pg` the user sees `ECONNRESET`. With Thaw the write is there once, or the error says that the outcome is unknown: it is never sent
 * again as a read that could write, and a transaction is never taken for one that had nothing to store.
 */

import * as stock from '@neondatabase/serverless'
import { Pool as NeonPool } from '@thaw/neon'
import { OutcomeUnknownError, type Pool } from '@thaw/pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { failure, useSetting } from './setting.ts'

const setting = useSetting()
useOneNeon()

const HIDDEN = 'SELECT * FROM stored'
const TABLES = `
  CREATE TABLE hidden (id serial);
  CREATE FUNCTION store() RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO hidden DEFAULT VALUES RETURNING id';
  CREATE VIEW stored AS SELECT store() AS id`

const drivers = {
  '@thaw/pg': {
    make: (): Pool => setting.thaw({ max: 2, trustMillis: 60_000 }),
    query: (text: string) => setting.server.query(text),
    network: () => setting.proxy,
  },
  '@thaw/neon': {
    make: () => neonPool() as unknown as Pool,
    query: (text: string) => neon.postgres.query(text),
    network: () => neon.compute,
  },
}

const neonPools: NeonPool[] = []
function neonPool(): NeonPool {
  const pool = new NeonPool({ connectionString: neon.url, max: 2, trustMillis: 60_000 })
  neonPools.push(pool)
  return pool
}

beforeAll(async () => {
  await setting.server.query(TABLES)
  await neon.postgres.query(TABLES)
})
afterAll(async () => {
  await Promise.all(neonPools.map((pool) => pool.end({ timeoutMillis: 1000 })))
})

describe.each(Object.entries(drivers))('%s', (_name, { make, query, network }) => {
  const count = async () => ((await query('SELECT count(*)::int AS n FROM hidden')).rows[0] as { n: number }).n
  beforeEach(() => query('TRUNCATE hidden'))

  test.each([
    ['loseNextAnswer', 1, [HIDDEN]],
    ['loseNextAnswer', 1, ['SELECT 1', HIDDEN]],
    ['loseNextRequest', 0, [HIDDEN]],
  ] as const)('a batch (%s, %i stored): it is not written again, and the outcome is unknown', async (lose, stored, texts) => {
    const pool = make()
    await pool.batch(['SELECT 1'])
    const lost = network()[lose]({ containing: 'FROM stored' })
    const error = await failure(pool.batch(texts.map((text) => ({ text }))))
    await lost.struck
    expect(error).toBeInstanceOf(OutcomeUnknownError)
    expect(error).toMatchObject({ reason: 'xid-not-known' })
    // The answer may have begun before the server was done.
    await expect.poll(count).toBe(stored)
    expect((await pool.query('SELECT 7 AS n')).rows).toEqual([{ n: 7 }])
  })

  test.each<[string, (pool: Pool) => Promise<unknown>]>([
    ['once', (pool) => pool.query({ text: HIDDEN, once: true })],
    ['a transaction', (pool) => pool.transaction((client) => client.query(HIDDEN))],
    [
      'a transaction that reads before and after',
      (pool) =>
        pool.transaction(async (client) => {
          await client.query('SELECT 1')
          await client.query(HIDDEN)
          await client.query('SELECT 2')
        }),
    ],
    ['a transaction that was to be READ ONLY', (pool) => pool.transaction(readWrite, { readOnly: true })],
  ])('%s, whose COMMIT is lost: it is stored once', async (_what, call) => {
    const pool = make()
    await pool.batch(['SELECT 1'])
    for (const [lose, stored] of [
      ['loseNextRequest', 1],
      ['loseNextAnswer', 2],
    ] as const) {
      const lost = network()[lose]({ containing: 'COMMIT' })
      await call(pool)
      await lost.struck
      expect(await count()).toBe(stored)
    }
  })
})

const readWrite: Parameters<Pool['transaction']>[0] = async (client) => {
  await client.query('SET TRANSACTION READ WRITE')
  await client.query(HIDDEN)
}

describe('what really reads', () => {
  test('a batch whose answer is lost is sent again, in one round trip', async () => {
    const pool = setting.thaw({ max: 2, trustMillis: 60_000 })
    await Promise.all([pool.transaction((client) => client.query('SELECT 1')), pool.batch(['SELECT 1'])])
    const lost = setting.proxy.loseNextAnswer({ containing: 'AS sent' })
    const results = await pool.batch(['SELECT 1 AS sent', { text: 'SELECT $1::int AS n', values: [2] }])
    await lost.struck
    expect(results.map(({ rows }) => rows)).toEqual([[{ sent: 1 }], [{ n: 2 }]])
  })

  test('a batch that fails when it is sent again fails with its own error, and leaves its connection usable', async () => {
    const pool = setting.thaw({ max: 1 })
    await pool.batch(['SELECT 1'])
    const lost = setting.proxy.loseNextAnswer({ containing: 'AS failing' })
    expect(await failure(pool.batch(['SELECT 1 AS failing', 'SELECT 1/0']))).toMatchObject({ code: '22012' })
    await lost.struck
    expect((await pool.query("SELECT current_setting('transaction_read_only') AS r")).rows).toEqual([{ r: 'off' }])
  })

  test('a transaction takes one round trip more than it has statements, and is no loss at COMMIT', async () => {
    const pool = setting.thaw({ trustMillis: 60_000 })
    const reads = () =>
      pool.transaction(async (client) => {
        await client.query('SELECT count(*) FROM hidden')
        await client.query({ text: 'SELECT $1::int', values: [1] })
        return (await client.query<{ n: number }>('SELECT 3 AS n')).rows
      })
    await reads()
    const before = setting.proxy.counters.roundTrips
    await reads()
    expect(setting.proxy.counters.roundTrips - before).toBe(4)
    const lost = setting.proxy.loseNextRequest({ containing: 'COMMIT' })
    expect(await reads()).toEqual([{ n: 3 }])
    await lost.struck
  })
})

test('in the mode of HTTP: a batch is not written again', async () => {
  stock.neonConfig.poolQueryViaFetch = true
  try {
    await neon.postgres.query('TRUNCATE hidden')
    const pool = neonPool()
    neon.answerNext(502, { when: 'after-work' })
    expect(await failure(pool.batch([{ text: HIDDEN }]))).toMatchObject({ kind: 'outcome-unknown' })
    expect((await neon.postgres.query('SELECT FROM hidden')).rowCount).toBe(1)
  } finally {
    stock.neonConfig.poolQueryViaFetch = false
  }
})
