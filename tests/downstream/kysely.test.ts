/** Kysely on a pool of one connection: when that dies, idle or in use, neither the process nor the pool ends. */

import { once } from 'node:events'
import { Pool } from '@thaw/pg'
import { Kysely, PostgresDialect } from 'kysely'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { proxy, server, useFreshProxy } from '../faults/fresh-proxy.ts'

useFreshProxy()

interface Database {
  readonly notes: { readonly text: string }
}

let db: Kysely<Database>
let uncaught: unknown[]
const catchIt = (error: unknown) => void uncaught.push(error)

beforeEach(async () => {
  await server.query('DROP TABLE IF EXISTS notes')
  await server.query('CREATE TABLE notes (text text)')
  db = kysely(new Pool({ connectionString: proxy.urlFor(server.url), max: 1, connectionTimeoutMillis: 5_000, trustMillis: 0 }))
  uncaught = []
  process.on('uncaughtException', catchIt)
})
afterEach(async () => {
  process.off('uncaughtException', catchIt)
  await db.destroy()
})

function kysely(pool: pg.Pool): Kysely<Database> {
  return new Kysely<Database>({ dialect: new PostgresDialect({ pool }) })
}

async function note(text: string): Promise<void> {
  await db.insertInto('notes').values({ text }).execute()
}

async function notes(): Promise<string[]> {
  const rows = await db.selectFrom('notes').select('text').orderBy('text').execute()
  return rows.map((row) => row.text)
}

/** Ends every session but our own, as a restart of the server does, and waits until the proxy has passed it on. */
async function endSessions(): Promise<void> {
  await server.query('SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = $1', [
    'client backend',
  ])
}

describe('Kysely on node-postgres', () => {
  test('does not listen for the death of an idle connection, which ends the process', async () => {
    const pool = new pg.Pool({ connectionString: proxy.urlFor(server.url), max: 1 })
    await using stock = kysely(pool)
    await stock.selectFrom('notes').selectAll().execute()
    expect(pool.listenerCount('error')).toBe(0)
    const died = once(pool, 'error')
    expect(proxy.cut('rst')).toBe(1)
    await died
  })
})

describe('Kysely on Thaw', () => {
  for (const kind of ['fin', 'rst'] as const) {
    test(`does not notice that its idle connection died, by ${kind}`, async () => {
      await note('before')
      expect(proxy.cut(kind)).toBe(1)
      await note('after')
      expect(await notes()).toEqual(['after', 'before'])
      expect(uncaught).toEqual([])
    })
  }

  test('does not notice that the server ended its idle session', async () => {
    await note('before')
    await endSessions()
    await note('after')
    expect(await notes()).toEqual(['after', 'before'])
    expect(uncaught).toEqual([])
  })

  test('rejects a transaction that lost its connection, and goes on', async () => {
    const lost = db.transaction().execute(async (trx) => {
      await trx.insertInto('notes').values({ text: 'lost' }).execute()
      await endSessions()
      await trx.insertInto('notes').values({ text: 'lost too' }).execute()
    })
    await expect(lost).rejects.toThrow()
    await note('next')
    expect(await notes()).toEqual(['next'])
    expect(uncaught).toEqual([])
  })
})
