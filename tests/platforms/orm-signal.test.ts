/**
 * A request whose client has hung up, in a handler that asks by an ORM. None of these ORMs takes a signal.
 *
 * What breaks: with plain `pg` the statement runs on, for as long as it takes, though no one waits for it, and keeps its connection. Inside `withThaw` every statement of a
 * Thaw pool hears the request's own signal: it is ended, at the server too, and the connection's place is free. So does every wait for a connection.
 */

import { PrismaPg } from '@prisma/adapter-pg'
import { resumeInvocation } from '@thaw/core'
import { Pool } from '@thaw/pg'
import { type PostgresServer, startPostgres } from '@thaw/testkit'
import { withThaw } from '@thaw/vercel'
import { sql as drizzleSql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/node-postgres'
import { Kysely, sql as kyselySql, PostgresDialect } from 'kysely'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { PrismaClient } from '../downstream/prisma-client.ts'
import { activeBackends } from '../faults/setting.ts'
import { discard } from '../faults/side-by-side.ts'

const SLOW = 'SELECT pg_sleep(60)::text'

const ORMS: readonly (readonly [name: string, ask: (pool: pg.Pool) => Promise<unknown>])[] = [
  ['Drizzle', async (client) => drizzle({ client }).execute(drizzleSql.raw(SLOW))],
  ['Kysely', (pool) => kyselySql.raw(SLOW).execute(new Kysely({ dialect: new PostgresDialect({ pool }) }))],
  ['Prisma', (pool) => new PrismaClient({ adapter: new PrismaPg(pool) }).$queryRawUnsafe(SLOW)],
]

let server: PostgresServer
let pool: pg.Pool

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())
afterEach(() => discard(pool))

/** Calls the handler, and hangs up once its statement is running. */
async function hangUp(ask: (pool: pg.Pool) => Promise<unknown>): Promise<{ readonly error: Promise<unknown> }> {
  const caller = new AbortController()
  const handler = withThaw(async (_: Request) => ask(pool))
  const error = handler(new Request('http://app.example/', { signal: caller.signal })).then(
    () => undefined,
    (reason: Error) => reason.cause ?? reason,
  )
  await activeBackends(server, 1, 'pg_sleep')
  caller.abort(new Error('The client has hung up'))
  return { error }
}

describe.for(ORMS)('%s', ([, ask]) => {
  test('on pg the statement runs on', async () => {
    pool = new pg.Pool({ connectionString: server.url, max: 1 })
    pool.on('error', () => {})
    const { error } = await hangUp(ask)
    await activeBackends(server, 1, 'pg_sleep')
    await server.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()",
    )
    expect(await error).toBeDefined()
  })

  test('on Thaw it is ended, and the next request has its place', async () => {
    pool = new Pool({ connectionString: server.url, max: 1 })
    const { error } = await hangUp(ask)
    expect(String(await error)).toContain('hung up')
    await activeBackends(server, 0, 'pg_sleep')
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })
})

// Drizzle begins a transaction with a statement that is not in its `try`: an aborted one would keep the client.
test('a hang-up while a transaction of Drizzle waits for a place ends the wait, and no client is left', async () => {
  pool = new Pool({ connectionString: server.url, max: 1 })
  const db = drizzle({ client: pool })
  const holder = await pool.connect()
  const leaks: unknown[] = []
  const caller = new AbortController()
  const work = () => db.transaction(async (tx) => void (await tx.execute(drizzleSql`SELECT 1`)))
  const handler = withThaw(async (_: Request) => work(), { onLeak: (leak) => void leaks.push(leak) })
  const answer = handler(new Request('http://app.example/', { signal: caller.signal }))
  await expect.poll(() => pool.waitingCount).toBe(1)
  caller.abort(new Error('The client has hung up'))
  // The place is still taken.
  await expect(answer).rejects.toThrow('hung up')
  holder.release()
  await work()
  expect([leaks, pool.totalCount, pool.idleCount]).toEqual([[], 1, 1])
})

test('what is started outside of the invocation outlives its client', async () => {
  await server.query('CREATE TABLE kept (item text)')
  await server.query('CREATE TABLE gate (open bool)')
  await server.query('INSERT INTO gate VALUES (true)')
  pool = new Pool({ connectionString: server.url, max: 2 })
  const db = drizzle({ client: pool })
  const holder = await pool.connect()
  await holder.query('BEGIN; LOCK TABLE gate')
  // Drizzle and Kysely send a statement when it is awaited.
  const store = async () => void (await db.execute(drizzleSql`INSERT INTO kept SELECT 'ice' FROM gate`))
  let kept: Promise<unknown> | undefined
  const { error } = await hangUp(async () => {
    kept = resumeInvocation(undefined, store)
    await activeBackends(server, 1, 'INSERT INTO kept')
    await holder.query(SLOW)
  })
  expect(String(await error)).toContain('hung up')
  // The statement of the invocation took its lock with it.
  await kept
  expect((await server.query('SELECT item FROM kept')).rows).toEqual([{ item: 'ice' }])
  holder.release()
})
