/** A statement that no caller waits for any more ends at the server too, over WebSocket as well. */

import * as stock from '@neondatabase/serverless'
import { type Neon, startNeon } from '@thaw/testkit'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { Pool } from './index.ts'

let neon: Neon
let pool: Pool

beforeAll(async () => {
  neon = await startNeon()
  Object.assign(stock.neonConfig, neon.driver)
})
afterEach(async () => {
  if (!pool.ending) await pool.end()
})
afterAll(() => neon.close())

const SLEEP = 'SELECT pg_sleep(60)'
const COUNT = `SELECT FROM pg_stat_activity WHERE query = '${SLEEP}' AND state = 'active'`

async function atWork(count: number): Promise<void> {
  await vi.waitFor(async () => expect((await neon.postgres.query(COUNT)).rowCount).toBe(count), 30_000)
}

test('by query_timeout', async () => {
  pool = new Pool({ connectionString: neon.url, query_timeout: 300 } as never)
  await expect(pool.query(SLEEP)).rejects.toThrow('Query read timeout')
  await atWork(0)
})

test('by pool.end({ timeoutMillis })', async () => {
  pool = new Pool({ connectionString: neon.url })
  const lost = expect(pool.query(SLEEP)).rejects.toThrow('destroyed')
  await atWork(1)
  await pool.end({ timeoutMillis: 10 })
  await lost
  await atWork(0)
})

test('by release(true)', async () => {
  pool = new Pool({ connectionString: neon.url })
  const client = await pool.connect()
  const lost = expect(client.query(SLEEP)).rejects.toThrow()
  await atWork(1)
  client.release(true)
  await lost
  await atWork(0)
})
