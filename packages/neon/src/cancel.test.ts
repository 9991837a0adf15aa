/** A statement that no caller waits for any more ends at the server too, over WebSocket as well. */

import { afterEach, expect, test, vi } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { Pool } from './index.ts'

useOneNeon()

let pool: Pool

afterEach(async () => {
  if (!pool.ending) await pool.end()
})

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
