/** `pool.transaction()` under Drizzle and Kysely: what they wrap is run again all the same, and their savepoints are ours. */

import { causesOf } from '@thaw/core'
import { Pool } from '@thaw/pg'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { pgTable, text } from 'drizzle-orm/pg-core'
import { Kysely, PostgresDialect, type PostgresPool } from 'kysely'
import type pg from 'pg'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { proxy, server, useFreshProxy } from '../faults/fresh-proxy.ts'

useFreshProxy()

const ledger = pgTable('ledger', { token: text() })

interface Database {
  readonly ledger: { readonly token: string }
}

/** Kysely on one client: it gives back what it acquired, which the pool does by itself. */
const kyselyOn = (client: pg.PoolClient) =>
  new Kysely<Database>({
    dialect: new PostgresDialect({ pool: { connect: async () => client, end: async () => {} } as unknown as PostgresPool }),
  })

let pool: Pool

beforeAll(() => server.query('CREATE TABLE ledger (token text); CREATE TABLE counter AS SELECT 0 AS n'))
beforeEach(async () => {
  pool = new Pool({ connectionString: proxy.urlFor(server.url), max: 4 })
})
afterEach(() => pool.end({ timeoutMillis: 1000 }))

const count = async (token: string) => (await server.query('SELECT FROM ledger WHERE token = $1', [token])).rowCount

describe.each([
  ['Drizzle', (client: pg.PoolClient, token: string) => drizzle(client).insert(ledger).values({ token })],
  ['Kysely', (client: pg.PoolClient, token: string) => kyselyOn(client).insertInto('ledger').values({ token }).execute()],
] as const)('%s', (name, insert) => {
  test.each([
    ['loseNextAnswer', 'COMMIT'],
    ['loseNextRequest', 'COMMIT'],
    ['loseNextAnswer', 'insert into'],
  ] as const)('a transaction that is lost (%s, %s) is stored once', async (lose, containing) => {
    const token = `${name}-${lose}-${containing}`
    const lost = proxy[lose]({ containing })
    await pool.transaction(async (client) => {
      await insert(client, token)
      await insert(client, token)
    })
    await lost.struck
    expect(await count(token)).toBe(2)
  })

  test('a part of it that fails is undone alone', async () => {
    await pool.transaction(async (client) => {
      await insert(client, `${name}-outer`)
      await client
        .transaction(async (inner) => {
          await insert(inner, `${name}-inner`)
          throw new Error('no')
        })
        .catch(() => {})
    })
    expect([await count(`${name}-outer`), await count(`${name}-inner`)]).toEqual([1, 0])
  })
})

test.each<[string, (token: string) => Promise<unknown>]>([
  ['Drizzle', (token) => drizzle(pool).transaction((tx) => tx.insert(ledger).values({ token }))],
  [
    'Kysely',
    (token) =>
      new Kysely<Database>({ dialect: new PostgresDialect({ pool: pool as unknown as PostgresPool }) })
        .transaction()
        .execute((tx) => tx.insertInto('ledger').values({ token }).execute()),
  ],
])('a transaction of %s’s own whose COMMIT is lost is unknown: it rolls back behind it, and keeps that error only', async (name, store) => {
  const token = `${name}-own`
  const lost = proxy.loseNextAnswer({ containing: 'commit' })
  const error = await store(token).catch((reason: Error) => reason)
  await lost.struck
  expect(causesOf(error)).toContainEqual(expect.objectContaining({ kind: 'outcome-unknown' }))
  await expect(pool.outcome(error)).rejects.toMatchObject({ kind: 'outcome-unknown' })
  expect(await count(token)).toBe(1)
})

test('a conflict that Drizzle has wrapped is run again', async () => {
  await server.query('UPDATE counter SET n = 0')
  const increment = () =>
    pool.transaction(
      async (client) => {
        const db = drizzle(client)
        const { rows } = await db.execute<{ n: number }>(sql`SELECT n FROM counter`)
        await db.execute(sql`UPDATE counter SET n = ${(rows[0]?.n ?? 0) + 1}`)
      },
      { isolation: 'serializable', retries: 50 },
    )
  await Promise.all(Array.from({ length: 8 }, increment))
  expect((await server.query('SELECT n FROM counter')).rows).toEqual([{ n: 8 }])
})

test('a transaction of Drizzle’s own inside is refused, and the error says what to call', async () => {
  const inside = pool.transaction((client) => drizzle(client).transaction((tx) => tx.insert(ledger).values({ token: 'own' })))
  await expect(inside).rejects.toMatchObject({
    cause: { kind: 'transaction-use', message: expect.stringContaining('client.transaction()') },
  })
})
