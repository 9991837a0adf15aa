/** Code that has kept a client of the pool ends it while it rests: no place is lost, and the next caller gets another. Plain pg beside it. */

import { once } from 'node:events'
import stock from 'pg'
import { expect, test } from 'vitest'
import { server, useOneServer } from '../test/one-server.ts'
import { Pool } from './index.ts'

useOneServer()

const SOON = { timeout: 10_000 }

/** As many as the pool may have, all idle; the first ones that were opened are returned. */
async function openAll(pool: stock.Pool, max: number): Promise<stock.Client[]> {
  pool.on('error', () => {})
  const clients = await Promise.all(Array.from({ length: max }, () => pool.connect()))
  for (const client of clients) client.release()
  return clients as unknown as stock.Client[]
}

const USES: readonly [string, (pool: stock.Pool) => Promise<unknown>][] = [
  ['connect()', async (pool) => (await pool.connect()).release()],
  ['query()', (pool) => pool.query('select 1')],
  ['two at once', (pool) => Promise.all([pool.connect(), pool.connect()]).then((clients) => clients.map((client) => client.release()))],
]

for (const max of [2, 3, 5]) {
  test.each(USES)(`the newest of ${max}, then %s`, SOON, async (_, use) => {
    const pool = new Pool({ connectionString: server.url, max })
    const newest = (await openAll(pool, max)).at(-1)
    if (!newest) throw new Error('The pool has opened none')
    const closed = once(newest, 'end')
    await newest.end()
    await closed
    await use(pool)
    expect(pool.idleCount).toBe(pool.totalCount)
    // As many can be had as ever.
    const clients = await Promise.all(Array.from({ length: max }, () => pool.connect()))
    for (const client of clients) client.release()
    expect([pool.idleCount, pool.totalCount]).toEqual([max, max])
    await pool.end()
  })
}

test('plain pg hands out the client that was ended, and loses no place either', SOON, async () => {
  const pool = new stock.Pool({ connectionString: server.url, max: 3 })
  const newest = (await openAll(pool, 3)).at(-1)
  await newest?.end()
  await expect(pool.query('select 1')).rejects.toThrow(/not queryable/)
  expect(pool.idleCount).toBe(pool.totalCount)
  await pool.end()
})
