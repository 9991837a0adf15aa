/** A password function that fails: a secrets manager that is away for a moment, with the codes of a socket. On pg each such failure fails a call. */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
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

const options = () => ({ host: server.host, port: server.port, user: 'postgres', database: 'postgres', max: 1 })

test('a moment of it fails no call, as with a database that is away', async () => {
  const plain = new stock.Pool({ ...options(), ...secrets(1, nobodyThere) })
  await expect(plain.query('SELECT 1')).rejects.toThrow('127.0.0.1:8200')
  // The first pauses take 0.8 s for 12 attempts: the address of the database was never in doubt.
  const { password, asked } = secrets(16, unknownName)
  const pool = new Pool({ ...options(), password, connectionTimeoutMillis: 60_000 })
  await pool.query('SELECT 1')
  expect(asked()).toBe(17)
  await Promise.all([plain.end(), pool.end()])
})

test('in the end the error blames the function, not PostgreSQL', async () => {
  const pool = new Pool({ ...options(), password: secrets(1000, nobodyThere).password, connectionTimeoutMillis: 300 })
  const error = await pool.query('SELECT 1').catch((reason) => reason)
  expect(error).toMatchObject({ name: 'AcquireTimeoutError', cause: { port: 8200 } })
  expect(error.message).toContain('The `password` function failed: see the cause.')
  expect(error.message).not.toContain('PostgreSQL is running')
  await pool.end()
})

test('it casts no doubt on the connections that are open', async () => {
  const { password } = secrets(0, nobodyThere)
  let isAway = false
  const given = () => (isAway ? Promise.reject(nobodyThere()) : password())
  const pool = new Pool({ ...options(), max: 2, password: given, trustMillis: 60_000, connectionTimeoutMillis: 300 })
  const acquired: string[] = []
  pool.subscribe((event) => event.type === 'acquired' && acquired.push(event.how))
  await pool.query('SELECT 1')
  isAway = true
  const client = await pool.connect()
  await expect(pool.connect()).rejects.toThrow('password')
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
