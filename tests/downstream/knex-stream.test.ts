/**
 * Knex's streams over a pool that is passed in. What breaks: Knex 3.3 releases the connection twice when `for await` has read all, over pg's own
 * pool, too, and the second release throws where it cannot be caught. Inside a transaction, as the page on libraries says, it is released once.
 * A stream that is given to a handler fails where the handler alone can hear it.
 */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { Pool } from '@thaw/pg'
import { type PostgresServer, startPostgres } from '@thaw/testkit'
import knex, { type Knex } from 'knex'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())

const ROWS = 'SELECT generate_series(1, 1000)'

type Way = (db: Knex) => Promise<number>

const forAwait: Way = async (db) => {
  let rows = 0
  for await (const _row of db.raw(ROWS).stream()) rows++
  return rows
}
const transaction: Way = (db) => db.transaction((trx) => forAwait(trx))

/** How often the connection is released. A second time does nothing here, rather than end the process. */
async function releasesOf(pool: pg.Pool, way: Way): Promise<number> {
  let releases = 0
  const connect = pool.connect.bind(pool) as () => Promise<pg.PoolClient>
  const counted = async () => {
    const client = await connect()
    const { release } = client
    client.release = (error) => {
      if (releases++ === 0) release.call(client, error)
    }
    return client
  }
  Object.assign(pool, { connect: counted })
  const db = knex({ client: 'pg', connectionPool: pool })
  expect(await way(db)).toBe(1000)
  await db.destroy()
  // Ends once the connection has been released. The second release follows in the same turn.
  await pool.end()
  await new Promise(setImmediate)
  return releases
}

test.each([
  ['for await', forAwait, 2],
  ['for await in a transaction', transaction, 1],
])('%s', async (_what, way, releases) => {
  for (const pool of [new pg.Pool({ connectionString: server.url }), new Pool({ connectionString: server.url })])
    expect(await releasesOf(pool, way)).toBe(releases)
})

/** Reads in a process of its own, which the error may end. `READ` is the handler. */
const PROCESS = `
import knex from 'knex'
const { Pool } = (await import(process.env.DRIVER)).default
const pool = new Pool({ connectionString: process.env.DATABASE_URL, max: 1 })
const db = knex({ client: 'pg', connectionPool: pool })
const end = async (stream, error) => {
  console.log('heard', error.code)
  await pool.end()
}
await db.raw(process.env.TEXT).stream((stream) => { READ })
`

async function run(
  driver: string,
  read: string,
  sql: string,
): Promise<{ readonly code: unknown; readonly said: string; readonly failed: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROCESS.replace('READ', read)], {
    cwd: import.meta.dirname,
    env: { ...process.env, DRIVER: driver, DATABASE_URL: server.url, TEXT: sql },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [said, failed, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')])
  return { code, said, failed }
}

const WRONG = 'SELECT 1 / (100 - n) FROM generate_series(1, 1000) n'
const LOST = 'SELECT CASE WHEN n = 100 THEN pg_terminate_backend(pg_backend_pid()) END FROM generate_series(1, 1000) n'

// Knex takes the stream's `error` for its own promise too late: no listener is there.
test.each([
  ['pg', WRONG, 'division by zero'],
  ['@thaw/pg', LOST, 'terminating connection'],
])('a stream that is given to a handler without a listener ends the process when it fails (%s, %s)', async (driver, sql, message) => {
  const { code, failed } = await run(driver, 'stream.resume()', sql)
  expect(code).toBe(1)
  expect(failed).toContain(message)
})

test('with one it does not', async () => {
  const read = "stream.on('error', (error) => end(stream, error)).resume()"
  // pg_terminate_backend() itself counts as a write.
  expect(await run('@thaw/pg', read, LOST)).toMatchObject({ code: 0, said: 'heard 08007\n' })
})
