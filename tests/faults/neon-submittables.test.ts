/**
 * Cursors and row streams on Neon's driver, over its WebSocket: as on pg.
 *
 * What breaks: as in submittables.test.ts. COPY TO does not exist here: its stream reads from the socket itself, and throws.
 */

import { type LambdaContext, withThaw } from '@thaw/lambda'
import { DeadlineError, Pool, type PoolConfig } from '@thaw/neon'
import { from as copyFrom } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { afterEach, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { failure } from './setting.ts'

useOneNeon()

const ROWS = 'SELECT n FROM generate_series(1, 1000) n'

let pool: Pool

afterEach(() => pool.end({ timeoutMillis: 1000 }))

async function take(config: PoolConfig = {}) {
  pool = new Pool({ connectionString: neon.url, max: 1, ...config })
  const client = await pool.connect()
  client.on('error', () => {})
  return client
}

async function count(rows: AsyncIterable<unknown>): Promise<number> {
  let n = 0
  for await (const _ of rows) n++
  return n
}

test('a cursor and a row stream are read to their ends', async () => {
  const client = await take({ query_timeout: 5000 })
  const cursor = client.query(new Cursor(ROWS))
  expect(await cursor.read(10)).toHaveLength(10)
  await cursor.close()
  expect(await count(client.query(new QueryStream(ROWS)))).toBe(1000)
  client.release()
  expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
})

test('the connection dies: reads, close() and `for await` end', async () => {
  const client = await take()
  const cursor = client.query(new Cursor(ROWS))
  await cursor.read(1)
  const ended = new Promise((resolve) => client.once('end', resolve))
  await neon.postgres.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%generate_series%' AND pid <> pg_backend_pid()`,
  )
  await ended
  await failure(cursor.read(1))
  await cursor.close()
  client.release(true)
})

test('query_timeout bounds them', async () => {
  const client = await take({ query_timeout: 300 })
  expect(await failure(count(client.query(new QueryStream('SELECT pg_sleep(60)'))))).toBeInstanceOf(DeadlineError)
  client.release(true)
})

test('query_timeout bounds close() too, when the server is silent', async () => {
  const client = await take({ query_timeout: 300 })
  const cursor = client.query(new Cursor(ROWS))
  await cursor.read(1)
  neon.compute.cut('drop')
  await cursor.close()
  client.release(true)
})

test('the deadline of an invocation ends a row stream that would outlive it', async () => {
  let end: unknown
  const handler = withThaw(async (_event: unknown, _context: LambdaContext) => {
    const client = await take()
    const stream = new QueryStream('SELECT pg_sleep(0.05) FROM generate_series(1, 1000)', [], { batchSize: 2 })
    end = await failure(count(client.query(stream)))
    client.release()
  })
  const deadlineAt = Date.now() + 1500
  await handler({}, { awsRequestId: 'one', getRemainingTimeInMillis: () => deadlineAt - Date.now() } as LambdaContext).catch(() => {})
  await expect.poll(() => end).toBeInstanceOf(DeadlineError)
  const working = "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT pg_sleep(0.05)%'"
  await expect.poll(async () => (await neon.postgres.query(working)).rowCount).toBe(0)
})

test('released with a cursor without a reader: the next caller does not wait for it', async () => {
  const client = await take()
  const cursor = client.query(new Cursor(ROWS))
  await cursor.read(1)
  client.release()
  expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  expect((await failure(cursor.read(1))).message).toMatch(/released while this cursor or stream was open/)
})

test('released with a COPY that its writer has left: the next caller does not wait for it', async () => {
  await neon.postgres.query('CREATE TABLE copied (n int)')
  const client = await take({ releaseTimeoutMillis: 60_000 })
  const copy = client.query(copyFrom('COPY copied FROM STDIN'))
  const told = failure(new Promise((_, reject) => copy.once('error', reject)))
  await new Promise((resolve) => copy.write('1\n', resolve))
  client.release()
  expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  expect((await told).message).toMatch(/released while this cursor or stream was open/)
  expect((await neon.postgres.query('SELECT FROM copied')).rowCount).toBe(0)
})
