/**
 * Knex's streams over a pool that is passed in. What breaks: Knex 3.3 releases the connection twice when `for await` has read all, over pg's own
 * pool, too, and the second release throws where it cannot be caught. Inside a transaction, as the page on libraries says, it is released once.
 */

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
