/**
 * What each connection leads to is asked in front of a read, under that read's Sync. What stands in front of the read, such as the SET of a `connect` listener, must not get the question: PostgreSQL would
 * take the two for one transaction, and roll back with the read what its caller was told is done.
 */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { Pool } from './index.ts'

let server: PostgresServer
const pools: stock.Pool[] = []

beforeAll(async () => {
  server = await startPostgres()
  await server.query('create table told (n int)')
})
afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.end()))
})
afterAll(() => server.close())

/** Of a pool in which callers would share, and whose next connection is new. */
async function wanting(Any: typeof Pool | typeof stock.Pool): Promise<stock.Pool> {
  const pool = new Any({ connectionString: server.url, max: 2 }) as stock.Pool
  pools.push(pool)
  await Promise.all([pool.query('select pg_sleep(0.05)'), pool.query('select pg_sleep(0.05)'), pool.query('select 1')])
  const clients = await Promise.all([pool.connect(), pool.connect()])
  for (const client of clients) client.release(true)
  return pool
}

const FAILS = 'select 1 / (10 - n) from generate_series(1, 10) n'

test.each([
  ['plain pg', stock.Pool],
  ['Thaw', Pool],
])('%s: what a listener sends on a new connection stays, though the first read fails', async (_, Any) => {
  for (const isTwice of [false, true]) {
    const pool = await wanting(Any)
    const told: Promise<unknown>[] = []
    pool.on('connect', (client) => {
      if (isTwice) told.push(client.query('select 1'))
      told.push(client.query("set application_name = 'kept'"), client.query('insert into told values (1)'))
    })
    await server.query('truncate told')
    await expect(pool.query(FAILS)).rejects.toMatchObject({ code: '22012' })
    await Promise.all(told)
    expect((await server.query('select from told')).rowCount).toBe(told.length > 3 ? 2 : 1)
    const { rows } = await pool.query("select current_setting('application_name') as name")
    expect(rows).toEqual([{ name: 'kept' }])
  }
})
