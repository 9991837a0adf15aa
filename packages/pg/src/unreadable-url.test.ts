/** A connection string that is none: pg takes all of it, password included, for the name of a database at a host named "base". */

import { failDns } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { Pool } from './index.ts'

const SECRET = 'geheim'
// No server listens there.
const URL_GIVEN = `postgres://app:${SECRET}@127.0.0.1:1/shop`

/** What pg takes for hosts here. */
const unknown = ['base', 'app'].map((host) => failDns({ host, times: Number.POSITIVE_INFINITY, code: 'ENOTFOUND' }))

beforeAll(() => {
  // Where pg goes if it finds no host, and no port: no server listens there either.
  vi.stubEnv('PGHOST', undefined)
  vi.stubEnv('PGPORT', '1')
})
afterAll(() => {
  for (const name of unknown) name.restore()
  vi.unstubAllEnvs()
})

/** What an environment variable may hold. */
const strings: readonly [name: string, connectionString: string][] = [
  ['a space before it', ` ${URL_GIVEN}`],
  ['quotes around it', `"${URL_GIVEN}"`],
  ['the command of a console', `psql '${URL_GIVEN}'`],
  ['the whole line of a file', `DATABASE_URL=${URL_GIVEN}`],
  ['no colon', URL_GIVEN.replace(':', '')],
  ['one slash', URL_GIVEN.replace('//', '/')],
  ['no scheme', URL_GIVEN.slice('postgres://'.length)],
  ["libpq's own form", `host=127.0.0.1 password=${SECRET} dbname=shop`],
  ["a driver of Java's", `jdbc:postgresql://127.0.0.1:1/shop?user=app&password=${SECRET}`],
  ['a name', 'shop'],
]

test.concurrent.each(strings)('%s: the error says that it is not a URL, and shows nothing of it', async (_, connectionString) => {
  await expect(new stock.Pool({ connectionString }).query('SELECT 1')).rejects.toThrow(/ENOTFOUND base|ECONNREFUSED/)
  for (const connectionTimeoutMillis of [undefined, 300]) {
    const pool = new Pool({ connectionString, connectionTimeoutMillis })
    const { message } = await pool.query('SELECT 1').catch((error) => error)
    expect(message).not.toMatch(/geheim|app:|shop/)
    expect(message).toContain('The connection string is not a URL such as postgres://user@host/database')
    await pool.end()
  }
})

test.concurrent.each([
  ['a slash', `postgres://app:12/${SECRET}@127.0.0.1:1/shop`],
  ['a slash, with several hosts', `postgres://app:12/${SECRET}@a:1,b:1/shop`],
])('a password with %s: pg takes it for a host, a port and a database. The error names none of it', async (_, connectionString) => {
  for (const connectionTimeoutMillis of [undefined, 300]) {
    const pool = new Pool({ connectionString, connectionTimeoutMillis })
    const error = await pool.query('SELECT 1').catch((error) => error)
    const { message } = error
    // pg takes the digits in front of the slash for the port.
    expect(`${message} ${error.cause?.message} ${error.port}`).not.toMatch(/geheim|:12| 12/)
    expect(message).toContain('write %2F')
    await pool.end()
  }
})

test.concurrent.each([
  'postgres://app@127.0.0.1:1/shop',
  'postgresql:///shop?host=/nowhere',
  '/nowhere shop',
  'socket:/nowhere?db=shop',
  'postgres://app@127.0.0.1:1/shop?options=-c%20search_path%3Da@b',
])('%s is one, and its database is named', async (connectionString) => {
  const pool = new Pool({ connectionString })
  const { message } = await pool.query('SELECT 1').catch((error) => error)
  expect(message).toContain('Could not connect to database "shop"')
  expect(message).not.toContain('not a URL')
  await pool.end()
})
