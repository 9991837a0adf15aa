/** `new Pool({ connectionString: process.env.DATABASE_URL })` where the variable is not set: pg dials localhost, and says ECONNREFUSED. */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { afterEach, expect, test, vi } from 'vitest'
import { Pool } from './index.ts'

const SECRET = 'postgresql://user:secret@db.example/shop'
const VARIABLES = ['PGHOST', 'PGPORT', 'PGUSER', 'PGPASSWORD', 'PGDATABASE', 'DATABASE_URL'] as const

/** pg reads most of its variables when it is loaded, and these when a client is made. */
function environment(given: Partial<Record<(typeof VARIABLES)[number], string>>): void {
  for (const name of VARIABLES) vi.stubEnv(name, given[name])
}

afterEach(() => vi.unstubAllEnvs())

test.each([
  [undefined, 'DATABASE_URL is not set in this process'],
  [SECRET, 'DATABASE_URL is set in this process: pass it on'],
])('with DATABASE_URL = %s the error names it, and keeps what the socket said', async (DATABASE_URL, words) => {
  // Nothing listens there.
  environment({ PGPORT: '1', ...(DATABASE_URL && { DATABASE_URL }) })
  const plain = await new stock.Pool({ connectionString: undefined }).query('SELECT 1').catch((error) => error)
  const pool = new Pool({ connectionString: undefined })
  const error = await pool.query('SELECT 1').catch((reason) => reason)
  expect(error).toMatchObject({ name: 'ConnectError', stage: 'tcp', code: plain.code })
  expect(error.message).toContain('There was no connection string, no host and no PGHOST')
  expect(error.message).toContain(words)
  expect(JSON.stringify([error, error.message])).not.toContain('secret')
  await pool.end()
})

test("pg's own variables are enough, as ever", async () => {
  const server: PostgresServer = await startPostgres()
  const { hostname, port, username, password, pathname } = new URL(server.url)
  environment({ PGHOST: hostname, PGPORT: port, PGUSER: username, PGPASSWORD: password, PGDATABASE: pathname.slice(1) })
  const pool = new Pool()
  expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  await pool.end()
  environment({ PGHOST: '127.0.0.1', PGPORT: '1' })
  const error = await new Pool().query('SELECT 1').catch((reason) => reason)
  expect(error.message).toContain('Check that PostgreSQL is running there')
  await server.close()
})
