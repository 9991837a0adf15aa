/**
 * A standby in the primary's place, and a transaction that writes.
 *
 * What breaks: the server behind one address, as in failover.test.ts. It refuses the first write of a transaction (25006). With plain `pg` the transaction
 * fails, on each connection that leads there. With Thaw the server is asked, once the transaction has been rolled back: if it is a standby every connection is dropped,
 * and the transaction runs again from its beginning where the primary is now. Nothing of it can have been stored. What is read-only on purpose is not run again.
 */

import { IDEMPOTENCY_SQL, type Pool } from '@thaw/pg'
import type { StandbyServer } from '@thaw/testkit'
import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'
import { until } from './until.ts'

const setting = useSetting()
let standby: StandbyServer

const READ_ONLY = { code: '25006' }
const TWO = [
  { text: INSERT, values: ['one'] },
  { text: INSERT, values: ['two'] },
]

beforeAll(async () => {
  await setting.server.query(IDEMPOTENCY_SQL)
  standby = await setting.server.startStandby()
})
beforeEach(() => setting.server.query('TRUNCATE ledger'))
afterAll(() => standby.close())

async function fill(pool: pg.Pool): Promise<void> {
  const clients = await Promise.all(Array.from({ length: pool.options.max }, () => pool.connect()))
  for (const client of clients) client.release()
}

/** Connections to a standby, behind an address that leads to the primary again. */
async function stranded(): Promise<Pool> {
  const pool = setting.thaw({ max: 3 })
  setting.proxy.moveTo(standby)
  await fill(pool)
  setting.proxy.moveTo(setting.server)
  return pool
}

const retried = () => setting.events.flatMap((event) => (event.type === 'retried' ? event.what : []))

test('a function that is called on a standby is served, although a standby gives out no ids', async () => {
  setting.proxy.moveTo(standby)
  const pool = setting.thaw()
  for (const readOnly of [false, true])
    expect(await pool.transaction((client) => client.query("SELECT set_config('a.b', 'c', true) AS it"), { readOnly })).toMatchObject({
      rows: [{ it: 'c' }],
    })
  expect(await pool.batch(["SELECT set_config('a.b', 'c', true) AS it"], { once: false })).toMatchObject([{ rows: [{ it: 'c' }] }])
  expect(retried()).toEqual([])
})

describe('the address leads to the primary again', () => {
  test('a transaction on pg.Pool fails on each connection', async () => {
    const pool = setting.plain({ max: 3 })
    setting.proxy.moveTo(standby)
    await fill(pool)
    setting.proxy.moveTo(setting.server)
    for (const _ of [1, 2, 3]) {
      const client = await pool.connect()
      await client.query('BEGIN')
      expect(await failure(client.query(INSERT, ['stock']))).toMatchObject(READ_ONLY)
      await client.query('ROLLBACK')
      client.release()
    }
  })

  test.for<[string, (pool: Pool) => Promise<unknown>]>([
    [
      'pool.transaction()',
      (pool) =>
        pool.transaction(async (client) => {
          await client.query('SELECT 1')
          for (const { text, values } of TWO) await client.query(text, values)
        }),
    ],
    [
      'one whose function wraps the error',
      (pool) =>
        pool.transaction(async (client) => {
          for (const { text, values } of TWO)
            await client.query(text, values).catch((cause) => Promise.reject(new Error('wrapped', { cause })))
        }),
    ],
    [
      'one whose function swallows it',
      (pool) =>
        pool.transaction(async (client) => {
          for (const { text, values } of TWO) await client.query(text, values).catch(() => {})
        }),
    ],
    ['pool.batch()', (pool) => pool.batch(TWO, { once: false })],
    [
      'pool.batch() where the table of keys is there',
      async (pool) => {
        // It has looked for the table.
        await pool.transaction((client) => client.query('SELECT 1'))
        await pool.batch(TWO)
      },
    ],
    ['pool.batch() with once', (pool) => pool.batch(TWO, { once: true })],
    ['pool.batch() with a key', (pool) => pool.batch(TWO, { idempotencyKey: crypto.randomUUID() })],
    ['pool.query() with once', (pool) => Promise.all(TWO.map((one) => pool.query({ ...one, once: true })))],
    ['pool.query() with a key', (pool) => Promise.all(TWO.map((one) => pool.query({ ...one, idempotencyKey: crypto.randomUUID() })))],
  ])('%s is run again there, once', async ([, write]) => {
    const pool = await stranded()
    await write(pool)
    expect([await setting.rows('one'), await setting.rows('two')]).toEqual([1, 1])
    expect(new Set(retried())).toEqual(new Set(['transaction']))
    expect(pool.stats().generation).toBe(1)
    // A connection that one of two callers opened, and did not wait for, may still be opening.
    await until('all are idle', () => pool.idleCount === pool.totalCount)
  })

  test('the answer of the server, whether it is a standby, is lost: its first error is told', async () => {
    const pool = await stranded()
    const lost = setting.proxy.loseNextAnswer({ containing: 'pg_is_in_recovery() AS standby' })
    expect(await failure(pool.transaction((client) => client.query(INSERT, ['unasked'])))).toMatchObject(READ_ONLY)
    await lost.struck
    expect(pool.idleCount).toBe(pool.totalCount)
  })

  test('many at once are each run again, and the pool is renewed once', async () => {
    const pool = await stranded()
    let runs = 0
    const one = (token: string) =>
      pool.transaction((client) => {
        runs++
        return client.query(INSERT, [token])
      })
    await Promise.all(['a', 'a', 'a'].map(one))
    expect(runs).toBe(6)
    expect(await setting.rows('a')).toBe(3)
    expect(pool.stats().generation).toBe(1)
  })

  test.for<[string, Parameters<Pool['transaction']>[1]]>([
    ['a READ ONLY one', { readOnly: true }],
    ['one without retries', { retries: 0 }],
  ])('%s is not run again', async ([, options]) => {
    const pool = await stranded()
    let runs = 0
    const call = pool.transaction((client) => {
      runs++
      return client.query(INSERT, ['refused'])
    }, options)
    expect(await failure(call)).toMatchObject(READ_ONLY)
    expect(runs).toBe(1)
  })

  test('a part that may fail alone does, and the rest is stored on no server', async () => {
    const pool = await stranded()
    let runs = 0
    await pool.transaction(async (client) => {
      runs++
      await client.transaction((part) => part.query(INSERT, ['part'])).catch(() => {})
      return client.query('SELECT 1')
    })
    expect(runs).toBe(1)
    expect(await setting.rows('part')).toBe(0)
  })
})

test('the address goes on leading to the standby: the error of the server, after one more run', async () => {
  setting.proxy.moveTo(standby)
  const pool = setting.thaw({ max: 3 })
  await fill(pool)
  let runs = 0
  const call = pool.transaction((client) => {
    runs++
    return client.query(INSERT, ['refused'])
  })
  expect(await failure(call)).toMatchObject(READ_ONLY)
  expect(runs).toBe(2)
  expect(pool.stats().generation).toBe(1)
  expect(pool.idleCount).toBe(pool.totalCount)
})

test.for([
  ['the database is set to be read-only', 'ALTER DATABASE postgres SET default_transaction_read_only = on'],
  ['the transaction is, by its function', ''],
] as const)('a healthy primary refuses, because %s: it is not run again, and costs no connection', async ([, alter]) => {
  if (alter) await setting.server.query(alter)
  try {
    const pool = setting.thaw({ max: 2 })
    await fill(pool)
    let runs = 0
    const call = pool.transaction(async (client) => {
      runs++
      if (!alter) await client.query('SET TRANSACTION READ ONLY')
      await client.query(INSERT, ['refused'])
    })
    expect(await failure(call)).toMatchObject(READ_ONLY)
    expect(runs).toBe(1)
    expect(pool.stats()).toMatchObject({ generation: 0, total: 2 })
  } finally {
    if (alter) await setting.server.query(`SET transaction_read_only = off; ${alter.replace('= on', '= off')}`)
  }
})

test('the primary goes, and transactions on its standby wait for no promotion: the next ones are stored', async () => {
  const pool = setting.thaw({ max: 3 })
  await fill(pool)
  await standby.catchUp()
  setting.proxy.moveTo(standby)
  await setting.server.stop('immediate')
  try {
    const write = (token: string) => pool.transaction((client) => client.query(INSERT, [token]))
    expect(await failure(write('too-early'))).toMatchObject(READ_ONLY)
    await standby.promote()
    await Promise.all(['a', 'b', 'c'].map(write))
    const { rows } = await standby.query<{ token: string }>('SELECT token FROM ledger ORDER BY token')
    expect(rows.map(({ token }) => token)).toEqual(['a', 'b', 'c'])
  } finally {
    await setting.server.start()
  }
})
