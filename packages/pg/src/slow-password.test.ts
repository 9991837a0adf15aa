/** A password function that takes its time: a secrets manager that is cold. The server waits for us, so it is not the server that is late. */

import { createFakeClock, type FakeClock, type PostgresServer, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Pool, type PoolConfig } from './index.ts'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())

/** Answers when it is told to. */
function slow() {
  const waiting: (() => void)[] = []
  let asked = 0
  const password = () => {
    asked++
    return new Promise<string>((resolve) => waiting.push(() => resolve(server.password)))
  }
  return { password, asked: () => asked, answer: () => waiting.shift()?.() }
}

function poolOf(clock: FakeClock, password: PoolConfig['password'], config: PoolConfig = {}): Pool {
  const { host, port } = server
  const hosts = [host, 'localhost'].join(',')
  return new Pool({ host: hosts, port, user: 'postgres', database: 'postgres', max: 1, password, clock, ...config })
}

/** Lets so much time pass in small steps, as it does in a process that runs. */
async function pass(clock: FakeClock, millis: number): Promise<void> {
  for (let passed = 0; passed < millis; passed += 100) {
    clock.advance(100)
    await new Promise(setImmediate)
  }
}

test("its time does not count against the host's share, and no connection is opened beside it", async () => {
  const clock = createFakeClock()
  const { password, asked, answer } = slow()
  const pool = poolOf(clock, password, { target_session_attrs: 'prefer-standby', connectionTimeoutMillis: 10_000 })
  const call = pool.query('SELECT 1')
  // Neither of the two is a standby, so both are asked as such, and one once more.
  for (const nth of [1, 2, 3]) {
    const next = () => {
      // An attempt begins in a timer of the clock's.
      clock.advance(1)
      return asked()
    }
    await expect.poll(next, { timeout: 20_000, interval: 5 }).toBe(nth)
    await pass(clock, 3000)
    expect(asked()).toBe(nth)
    answer()
  }
  await call
  await pool.end()
})

test.each([
  ['one host', '127.0.0.1'],
  ['several', '127.0.0.1,localhost'],
])('one that never answers is blamed, not PostgreSQL: %s', async (_what, host) => {
  const clock = createFakeClock()
  const { password, asked } = slow()
  const pool = poolOf(clock, password, { host, connectionTimeoutMillis: 5000 })
  const failed = pool.query('SELECT 1').catch((error: Error) => error)
  await expect.poll(asked, { timeout: 20_000, interval: 5 }).toBe(1)
  await pass(clock, 5500)
  expect(await failed).toMatchObject({
    name: 'AcquireTimeoutError',
    message: expect.stringMatching(/the `password` function.* did not answer in time/),
  })
  expect(asked()).toBe(1)
  await pool.end({ timeoutMillis: 0 })
})
