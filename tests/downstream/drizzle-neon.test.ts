/** Drizzle's two adapters for Neon take what @thaw/neon makes, unchanged. */

import { neon as connect, Pool } from '@thaw/neon'
import { createStoppableClock } from '@thaw/testkit'
import { sql } from 'drizzle-orm'
import { drizzle as overHttp } from 'drizzle-orm/neon-http'
import { drizzle as overWebSocket } from 'drizzle-orm/neon-serverless'
import { integer, pgTable, text } from 'drizzle-orm/pg-core'
import { beforeAll, expect, test, vi } from 'vitest'
import { neon, useOneNeon } from '../faults/one-neon.ts'

useOneNeon()

const orders = pgTable('orders', { id: integer().primaryKey(), note: text() })

beforeAll(() => neon.postgres.query('CREATE TABLE orders (id int PRIMARY KEY, note text)'))

test('neon-http', async () => {
  const db = overHttp({ client: connect(neon.url) })
  await db.insert(orders).values({ id: 1, note: 'over HTTP' })
  neon.answerNext(503)
  expect(await db.select().from(orders)).toEqual([{ id: 1, note: 'over HTTP' }])
  const [, rows] = await db.batch([db.insert(orders).values({ id: 2 }), db.select({ id: orders.id }).from(orders)])
  expect(rows).toEqual([{ id: 1 }, { id: 2 }])
})

test('neon-serverless', async () => {
  const clock = createStoppableClock()
  const pool = new Pool({ connectionString: neon.url, max: 1, clock })
  const db = overWebSocket({ client: pool })
  await db.insert(orders).values({ id: 3, note: 'over WebSocket' })
  expect(neon.network.cut('rst')).toBeGreaterThan(0)
  clock.addWall(60_000)
  const count = await db.transaction(async (transaction) => {
    await transaction.insert(orders).values({ id: 4 })
    return transaction.execute<{ count: number }>(sql`SELECT count(*)::int AS count FROM orders WHERE id > 2`)
  })
  expect(count.rows).toEqual([{ count: 2 }])
  await pool.end()
})

test('neon-serverless on Lambda, whose default is one connection: the pool used inside a transaction does not wait for itself', async () => {
  vi.stubEnv('AWS_LAMBDA_FUNCTION_NAME', 'orders')
  const pool = new Pool({ connectionString: neon.url })
  vi.unstubAllEnvs()
  const db = overWebSocket({ client: pool })
  const { rows } = await db.transaction(async (transaction) => {
    await transaction.insert(orders).values({ id: 5 })
    return db.execute<{ count: number }>(sql`SELECT count(*)::int AS count FROM orders WHERE id = 5`)
  })
  // Another connection: it does not see what is not committed.
  expect([rows, pool.options.max]).toEqual([[{ count: 0 }], 2])
  await pool.end()
})
