/**
 * A process that stands still under a statement: the answer has come meanwhile, and waits in the socket. Read at last, it proves nothing of the connection, which may have been lost since: with plain pg the
 * next statement goes out on it, and waits for ever. A statement that takes long by itself proves it as ever.
 */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { Pool } from './index.ts'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
  await server.query('create table stood (n int)')
})
afterAll(() => server.close())

const standStill = (millis: number) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, millis)
const SHORT = 'select pg_sleep(0.2)'
const WRITE = 'insert into stood values (1)'

async function createPool(): Promise<Pool> {
  const pool = new Pool({ connectionString: server.url, max: 1 })
  onTestFinished(() => pool.end())
  await pool.query('select 1')
  return pool
}

/** Sends it, and stands still until it has been answered. */
async function asleepUnder(asked: () => Promise<unknown>, millis: number): Promise<void> {
  const answer = asked()
  await new Promise((resolve) => setTimeout(resolve, 50))
  standStill(millis)
  await answer
}

describe('after a standstill of three seconds', () => {
  test('the next caller’s statement is not sent before a probe is answered', async () => {
    const pool = await createPool()
    await asleepUnder(() => pool.query(SHORT), 3000)
    const { probed } = pool.stats()
    await pool.query(WRITE)
    expect(pool.stats().probed - probed).toBe(1)
    await pool.query(WRITE)
    expect(pool.stats().probed - probed).toBe(1)
  })

  test('nor that of a caller that waits in the queue', async () => {
    const pool = await createPool()
    const { probed } = pool.stats()
    let waits: Promise<unknown> | undefined
    await asleepUnder(() => {
      const asked = pool.query(SHORT)
      waits = pool.query(WRITE)
      return asked
    }, 3000)
    await waits
    expect(pool.stats().probed - probed).toBe(1)
  })

  test('nor the next one of a client that its caller keeps', async () => {
    const pool = await createPool()
    const client = await pool.connect()
    onTestFinished(() => client.release())
    await asleepUnder(() => client.query(SHORT), 3000)
    let sent: string[] = []
    const write = client.connection.stream.write.bind(client.connection.stream)
    client.connection.stream.write = ((bytes: Uint8Array, ...rest: never[]) => {
      sent.push(Buffer.from(bytes).toString('latin1'))
      return write(bytes, ...rest)
    }) as never
    await client.query('select 2 as n')
    expect(sent[0]).not.toContain('select 2')
    sent = []
    await client.query('select 3 as n')
    expect(sent[0]).toContain('select 3')
  })
})

test.each([
  ['plain pg', stock.Pool],
  ['Thaw', Pool],
])('%s: a statement of three seconds, awake: the next one is sent at once', async (_, Any) => {
  const pool = new Any({ connectionString: server.url, max: 1 }) as Pool
  await pool.query('select pg_sleep(3)')
  const probed = Any === Pool ? pool.stats().probed : 0
  await pool.query(WRITE)
  expect(Any === Pool ? pool.stats().probed : 0).toBe(probed)
  await pool.end()
})
