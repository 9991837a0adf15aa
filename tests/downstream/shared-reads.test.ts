/** Libraries over a pool of one whose reads share its connection: fifty at once, each with its own row. What goes through `pool.query()` is a few round trips; what holds a client is as ever. */

import { PrismaPg } from '@prisma/adapter-pg'
import { Pool } from '@thaw/pg'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import knex from 'knex'
import { Kysely, PostgresDialect } from 'kysely'
import { expect, test } from 'vitest'
import { proxy, server, useFreshProxy } from '../faults/fresh-proxy.ts'

useFreshProxy()

const FIFTY = Array.from({ length: 50 }, (_, index) => index)

/** How each of them reads its number, and whether its statements share. */
const LIBRARIES: readonly [name: string, shares: boolean, open: (pool: Pool) => (n: number) => Promise<unknown>][] = [
  [
    'Drizzle, a raw statement',
    true,
    (pool) => async (n) => (await drizzle({ client: pool }).execute(sql`SELECT ${n}::int AS n`)).rows[0]?.['n'],
  ],
  [
    "Drizzle's query builder",
    true,
    (pool) => async (n) =>
      (
        await drizzle({ client: pool })
          .select({ n: sql<number>`${n}::int` })
          .from(sql`(SELECT) AS nothing`)
      )[0]?.n,
  ],
  [
    'Kysely',
    false,
    (pool) => {
      const db = new Kysely<object>({ dialect: new PostgresDialect({ pool }) })
      return async (n) => (await db.selectNoFrom((builder) => builder.val(n).as('n')).execute()).map((row) => Number(row.n))[0]
    },
  ],
  [
    'Prisma',
    true,
    (pool) => {
      const adapter = new PrismaPg(pool).connect()
      const argTypes = [{ scalarType: 'int', arity: 'scalar' } as const]
      return async (n) => (await (await adapter).queryRaw({ sql: 'SELECT $1::int AS n', args: [n], argTypes })).rows[0]?.[0]
    },
  ],
  [
    'Knex',
    false,
    (pool) => {
      const db = knex({ client: 'pg', connectionPool: pool as never })
      return async (n) => (await db.raw('SELECT ?::int AS n', [n])).rows[0].n
    },
  ],
]

test.each(LIBRARIES)('%s (shares: %s)', async (_, shares, open) => {
  const pool = new Pool({ connectionString: proxy.urlFor(server.url), max: 1, share: true, hedge: false })
  const read = open(pool)
  await read(0)
  const before = proxy.counters.roundTrips
  expect(await Promise.all(FIFTY.map(read))).toEqual(FIFTY)
  if (shares) expect(proxy.counters.roundTrips - before).toBeLessThan(25)
  else expect(proxy.counters.roundTrips - before).toBeGreaterThanOrEqual(50)
  await pool.end()
})
