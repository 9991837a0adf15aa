/** A password function that fails: a secrets manager that is away for a moment, with the codes of a socket. On pg each such failure fails a call. */

import { createFakeClock, type FakeClock, type PostgresServer, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Pool } from './index.ts'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())

const unknownName = () => Object.assign(new Error('getaddrinfo ENOTFOUND vault.internal'), { code: 'ENOTFOUND', syscall: 'getaddrinfo' })
const nobodyThere = () =>
  Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:8200'), {
    code: 'ECONNREFUSED',
    syscall: 'connect',
    address: '127.0.0.1',
    port: 8200,
  })

/** Fails so many times. */
function secrets(failures: number, failure: () => unknown) {
  let asked = 0
  const password = async () => {
    if (asked++ < failures) throw failure()
    return server.password
  }
  return { password, asked: () => asked }
}

async function advanceUntil(clock: FakeClock, isSo: () => boolean): Promise<void> {
  const look = () => {
    clock.advance(100)
    return isSo()
  }
  await expect.poll(look, { timeout: 20_000, interval: 2 }).toBe(true)
}

/** Lets time pass, as soon as the function has failed, until the caller's time is up. */
async function outlast(clock: FakeClock, asked: () => number, call: Promise<unknown>): Promise<Error> {
  const before = asked()
  const outcome = call.then(
    () => new Error('It was answered'),
    (error: Error) => error,
  )
  await advanceUntil(clock, () => asked() > before + 1)
  clock.advance(3_600_000)
  return outcome
}

/** For a clock that runs fast, every login is late: no other one is to be made beside it. */
const options = () => ({ host: server.host, port: server.port, user: 'postgres', database: 'postgres', max: 1, hedge: false })

test('a moment of it fails no call, as with a database that is away', async () => {
  const plain = new stock.Pool({ ...options(), ...secrets(1, nobodyThere) })
  await expect(plain.query('SELECT 1')).rejects.toThrow('127.0.0.1:8200')
  // For longer than the 800 ms that a typing error gets: the address of the database was never in doubt.
  const clock = createFakeClock()
  const startedAt = clock.mono()
  const { password, asked } = secrets(16, unknownName)
  const pool = new Pool({ ...options(), password, clock, connectionTimeoutMillis: 3_600_000 })
  const call = pool.query('SELECT 1')
  await advanceUntil(clock, () => asked() === 17)
  await call
  expect(clock.mono() - startedAt).toBeGreaterThan(800)
  await Promise.all([plain.end(), pool.end()])
})

test('in the end the error blames the function, not PostgreSQL', async () => {
  const clock = createFakeClock()
  const { password, asked } = secrets(1000, nobodyThere)
  const pool = new Pool({ ...options(), password, clock, connectionTimeoutMillis: 3_600_000 })
  const error = await outlast(clock, asked, pool.query('SELECT 1'))
  expect(error).toMatchObject({ name: 'AcquireTimeoutError', cause: { port: 8200 } })
  expect(error.message).toContain('The `password` function failed: see the cause.')
  expect(error.message).not.toContain('PostgreSQL is running')
  await pool.end()
})

test('it casts no doubt on the connections that are open', async () => {
  const clock = createFakeClock()
  let asked = 0
  const password = async () => {
    if (asked++ > 0) throw nobodyThere()
    return server.password
  }
  const pool = new Pool({ ...options(), max: 2, password, clock, trustMillis: 86_400_000, connectionTimeoutMillis: 3_600_000 })
  const acquired: string[] = []
  pool.subscribe((event) => event.type === 'acquired' && acquired.push(event.how))
  await pool.query('SELECT 1')
  const client = await pool.connect()
  expect((await outlast(clock, () => asked, pool.connect())).message).toContain('password')
  client.release()
  await pool.query('SELECT 1')
  expect(acquired).toEqual(['new', 'trusted', 'trusted'])
  await pool.end()
})

test.each([undefined, null, 'a text'])('one that throws %s fails the call, where pg hangs or says nothing of it', async (thrown) => {
  const pool = new Pool({ ...options(), password: secrets(1000, () => thrown).password })
  const reason = await pool.query('SELECT 1').catch((error) => error)
  expect(String(reason)).toContain(String(thrown))
  await pool.end()
})

test('beside a connection string without a password it is called; one in the string is used, as on pg', async () => {
  const { password, asked } = secrets(0, unknownName)
  const without = `postgres://postgres@${server.host}:${server.port}/postgres`
  await expect(new stock.Pool({ connectionString: without, password }).query('select 1')).rejects.toThrow('SASL')
  const both = server.url
  for (const [connectionString, times] of [
    [without, 1],
    [`postgres://postgres@/postgres?host=${server.host}&port=${server.port}`, 1],
    [both, 0],
  ] as const) {
    const before = asked()
    const pool = new Pool({ connectionString, password })
    expect((await pool.query('select 1 as a')).rows).toEqual([{ a: 1 }])
    expect(asked() - before).toBe(times)
    await pool.end()
  }
})
