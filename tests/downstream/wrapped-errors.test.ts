/**
 * What becomes of Thaw's error in libraries that keep neither the error nor its class: a write whose answer is lost. The page on libraries says what is left of it.
 * With plain `pg` there is nothing to lose: its error says that the connection ended.
 */

import { defineEntity, MikroORM, p } from '@mikro-orm/postgresql'
import { PrismaPg } from '@prisma/adapter-pg'
import { Pool, ThawError } from '@thaw/pg'
import { Kysely, PostgresDialect } from 'kysely'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { proxy, server, useFreshProxy } from '../faults/fresh-proxy.ts'
import { failure } from '../faults/setting.ts'
import { discard } from '../faults/side-by-side.ts'
import { PrismaClient } from './prisma-client.ts'

useFreshProxy()

let pool: Pool
beforeEach(async () => {
  await server.query('DROP TABLE IF EXISTS notes; CREATE TABLE notes (id serial PRIMARY KEY, text text)')
  pool = new Pool({ connectionString: proxy.urlFor(server.url), max: 1 })
})
afterEach(() => discard(pool))

/** Ours can be found beneath it: then `ThawError.is` and `pool.outcome()` take it. */
function isOursWithin(error: unknown): boolean {
  return error instanceof Error && (ThawError.is(error) || isOursWithin(error.cause))
}

test('Kysely keeps it', async () => {
  const db = new Kysely<{ notes: { text: string } }>({ dialect: new PostgresDialect({ pool }) })
  await db.selectFrom('notes').selectAll().execute()
  proxy.loseNextAnswer({ containing: 'insert' })
  expect(isOursWithin(await failure(db.insertInto('notes').values({ text: 'lost' }).execute()))).toBe(true)
})

test('MikroORM copies what it says', async () => {
  const Note = defineEntity({ name: 'Note', tableName: 'notes', properties: { id: p.integer().primary(), text: p.text() } })
  const orm = await MikroORM.init({ entities: [Note], dbName: 'postgres', driverOptions: new PostgresDialect({ pool }) })
  await orm.em.fork().find(Note, {})
  proxy.loseNextAnswer({ containing: 'insert' })
  const error = await failure(orm.em.fork().insert(Note, { text: 'lost' }))
  expect(error).toMatchObject({ kind: 'outcome-unknown', code: '08007', outcome: 'unknown', retryable: false })
  expect(isOursWithin(error)).toBe(false)
})

test('Prisma keeps its code', async () => {
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool) })
  await prisma.note.findMany()
  proxy.loseNextAnswer({ containing: 'INSERT' })
  const error = await failure(prisma.note.create({ data: { text: 'lost' } }))
  expect(error).toMatchObject({ code: '08007' })
  expect([isOursWithin(error), 'outcome' in error, 'kind' in error]).toEqual([false, false, false])
})
