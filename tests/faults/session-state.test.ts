/**
 * Writes on a connection whose session has state of its own: its search_path leads to another schema.
 *
 * What breaks: the connection. With plain `pg` the caller sees `ECONNRESET`. With Thaw nothing is sent again on a session that does not have that state: it would be stored in another schema. The server is
 * asked what became of it, but not where only the lost session would know which table to ask.
 */

import { Pool as NeonPool } from '@thaw/neon'
import { IDEMPOTENCY_SQL, type Pool, type ThawEvent } from '@thaw/pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { failure, useSetting } from './setting.ts'

const setting = useSetting()
useOneNeon()

const SCHEMAS = `CREATE SCHEMA here; CREATE TABLE here.stock (id int); CREATE SCHEMA elsewhere; CREATE TABLE elsewhere.stock (id int); ${IDEMPOTENCY_SQL}`
const WRITE = 'INSERT INTO stock VALUES (7)'
const OPTIONS = { max: 1, options: '-c search_path=elsewhere,public' }
const TRANSACTION = (pool: Pool) => pool.transaction((client) => client.query(WRITE))

const neonPools: NeonPool[] = []
const events: ThawEvent[] = []

function neonPool(): NeonPool {
  const pool = new NeonPool({ connectionString: neon.url, ...OPTIONS })
  pool.subscribe((event) => events.push(event))
  neonPools.push(pool)
  return pool
}

const drivers = {
  '@thaw/pg': {
    make: (): Pool => setting.thaw(OPTIONS),
    query: (text: string) => setting.server.query(text),
    network: () => setting.proxy,
    told: () => setting.events,
  },
  '@thaw/neon': {
    make: () => neonPool() as unknown as Pool,
    query: (text: string) => neon.postgres.query(text),
    network: () => neon.compute,
    told: () => events,
  },
}

beforeAll(async () => {
  await setting.server.query(SCHEMAS)
  await neon.postgres.query(SCHEMAS)
})
afterAll(() => Promise.all(neonPools.map((pool) => pool.end({ timeoutMillis: 1000 }))))

describe.each(Object.entries(drivers))('%s', (name, { make, query, network, told }) => {
  beforeEach(async () => {
    events.length = 0
    await query('TRUNCATE here.stock, elsewhere.stock, thaw_idempotency')
  })

  async function stored(): Promise<unknown> {
    const { rows } = await query(
      'SELECT (SELECT count(*)::int FROM here.stock) AS here, (SELECT count(*)::int FROM elsewhere.stock) AS elsewhere',
    )
    return rows[0]
  }

  /** Its only session leads to "here", and what a batch asks first is known. */
  async function setUp(path = 'here, public'): Promise<Pool> {
    const pool = make()
    await pool.query(`SET search_path TO ${path}`)
    await pool.batch(['UPDATE stock SET id = 1'])
    return pool
  }

  const CALLS: [string, (pool: Pool) => Promise<unknown>, string][] = [
    ['a transaction, before COMMIT', TRANSACTION, '(7)'],
    ['a transaction, at COMMIT', TRANSACTION, 'COMMIT'],
    ['once', (pool) => pool.query({ text: WRITE, once: true }), 'COMMIT'],
    ['a batch, once', (pool) => pool.batch([WRITE], { once: true }), '(7)'],
    ['a batch', (pool) => pool.batch([WRITE]), '(7)'],
    ['a key', (pool) => pool.query({ text: WRITE, idempotencyKey: 'a key' }), '(7)'],
    ['a batch that looks like reads', (pool) => pool.batch(['SELECT 7 FROM stock']), 'SELECT 7'],
  ]

  test.each(CALLS)('%s: what was not executed is not sent again', async (_what, call, containing) => {
    const pool = await setUp()
    const lost = network().loseNextRequest({ containing })
    const error = await failure(call(pool))
    await lost.struck
    expect(error).toMatchObject({ kind: 'connection-lost' })
    expect(await stored()).toEqual({ here: 0, elsewhere: 0 })
    expect(told().filter(({ type }) => type === 'retried')).toEqual([])
    expect(told()).toContainEqual({ type: 'sessionLost' })
  })

  test.each(CALLS.filter(([, , containing]) => containing !== 'SELECT 7').filter(([what]) => !what.includes('before')))(
    '%s: what was stored is told as stored',
    async (what, call, containing) => {
      const pool = await setUp()
      const lost = network().loseNextAnswer({ containing: what.includes('batch, once') ? 'COMMIT' : containing, until: 'ready-for-query' })
      await call(pool)
      await lost.struck
      expect(await stored()).toEqual({ here: 1, elsewhere: 0 })
    },
  )

  // What is asked does not depend on the driver.
  if (name === '@thaw/pg')
    test('with a table of keys in each schema no other session is asked', async () => {
      await query(`SET search_path TO here; ${IDEMPOTENCY_SQL}; RESET search_path`)
      try {
        const pool = await setUp()
        const lost = network().loseNextAnswer({ containing: '(7)', until: 'ready-for-query' })
        const error = await failure(pool.batch([WRITE]))
        await lost.struck
        expect(error).toMatchObject({ kind: 'outcome-unknown', message: expect.stringContaining('several tables of keys') })
        expect(await failure(pool.outcome(error))).toMatchObject({ kind: 'outcome-unknown' })
        expect(await stored()).toEqual({ here: 1, elsewhere: 0 })
        expect((await query('SELECT FROM public.thaw_idempotency')).rowCount).toBe(0)
      } finally {
        await query('DROP TABLE here.thaw_idempotency')
      }
    })

  test('what a transaction sets by itself it sets again', async () => {
    const pool = make()
    const lost = network().loseNextRequest({ containing: '(7)' })
    await pool.transaction(async (client) => {
      await client.query('SET search_path TO here, public')
      await client.query(WRITE)
    })
    await lost.struck
    expect(await stored()).toEqual({ here: 1, elsewhere: 0 })
  })
})
