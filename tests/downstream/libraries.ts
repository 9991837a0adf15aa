/** How is each library plugged in? As data: the tests run what docs/reference/libraries.md says. */

import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { defineEntity, MikroORM, p } from '@mikro-orm/postgresql'
import { PrismaPg } from '@prisma/adapter-pg'
import { db0Connector } from '@thaw/pg/db0'
import { betterAuth } from 'better-auth'
import { getMigrations } from 'better-auth/db/migration'
import connectPgSimple from 'connect-pg-simple'
import * as db0 from 'db0'
import * as db0OfNitro from 'db0-of-nitro'
import { drizzle } from 'drizzle-orm/node-postgres'
import { pgTable, text as textColumn } from 'drizzle-orm/pg-core'
import { drizzle as drizzleRc } from 'drizzle-orm-rc/node-postgres'
import { pgTable as pgTableRc, text as textColumnRc } from 'drizzle-orm-rc/pg-core'
import session from 'express-session'
import { Logger, makeWorkerUtils } from 'graphile-worker'
import knex, { type Knex } from 'knex'
import { Kysely, PostgresDialect } from 'kysely'
import { runner } from 'node-pg-migrate'
import { Model } from 'objection'
import type pg from 'pg'
import { PgBoss } from 'pg-boss'
import pgPromise from 'pg-promise'
import { DataTypes, Sequelize } from 'sequelize'
import { DataSource, EntitySchema } from 'typeorm'
import { PrismaClient } from './prisma-client.ts'

/** What stands behind the library: plain pg, or Thaw. */
export interface Behind {
  /** The whole module, for libraries that make their pool themselves. */
  readonly module: { readonly Client: typeof pg.Client; readonly Pool: new (config?: pg.PoolConfig) => pg.Pool }
  readonly config: pg.PoolConfig
  /** A pool, for libraries that take one. It is ended by the test. */
  readonly pool: () => pg.Pool
}

/** A library at work. */
export interface Open {
  /** Writes one thing: a row, a job, a session, a user. */
  readonly write: (text: string) => Promise<unknown>
  /** Reads what it has written. Undefined: it reads nothing by itself. */
  readonly read?: () => Promise<unknown>
  readonly close?: () => Promise<unknown>
}

export interface Library {
  readonly name: string
  /** Whether it listens for the death of an idle connection, which otherwise ends the process with plain pg. */
  readonly listens: boolean
  /** Loses the place of a connection that died before BEGIN, for ever with plain pg. Default: false. */
  readonly keepsPlace?: boolean
  /** The table that it reads. Default: `notes`. */
  readonly reads?: string
  /** Counts what was written. */
  readonly count: string
  readonly open: (behind: Behind) => Promise<Open>
}

const NOTES = 'SELECT count(*)::int FROM notes'

async function openDrizzle({ pool }: Behind): Promise<Open> {
  const table = pgTable('notes', { text: textColumn() })
  const db = drizzle({ client: pool() })
  return { write: async (text) => db.insert(table).values({ text }), read: async () => db.select().from(table) }
}

async function openDrizzleRc({ pool }: Behind): Promise<Open> {
  const table = pgTableRc('notes', { text: textColumnRc() })
  const db = drizzleRc({ client: pool() })
  return { write: (text) => db.transaction(async (tx) => tx.insert(table).values({ text })), read: async () => db.select().from(table) }
}

async function openPrisma({ pool }: Behind): Promise<Open> {
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool()) })
  return { write: (text) => prisma.note.create({ data: { text } }), read: () => prisma.note.findMany(), close: () => prisma.$disconnect() }
}

async function openKysely({ pool }: Behind): Promise<Open> {
  const db = new Kysely<{ notes: { text: string } }>({ dialect: new PostgresDialect({ pool: pool() }) })
  return { write: (text) => db.insertInto('notes').values({ text }).execute(), read: () => db.selectFrom('notes').selectAll().execute() }
}

function knexOn(pool: pg.Pool): Knex {
  return knex({ client: 'pg', connectionPool: pool as unknown as NonNullable<Knex.Config['connectionPool']> })
}

async function openKnex({ pool }: Behind): Promise<Open> {
  const db = knexOn(pool())
  return { write: async (text) => db('notes').insert({ text }), read: async () => db('notes').select(), close: () => db.destroy() }
}

async function openObjection({ pool }: Behind): Promise<Open> {
  const db = knexOn(pool())
  class Note extends Model {
    static override tableName = 'notes'
    text = ''
  }
  const Bound = Note.bindKnex(db)
  return { write: async (text) => Bound.query().insert({ text }), read: async () => Bound.query(), close: () => db.destroy() }
}

async function openTypeOrm({ module, config }: Behind): Promise<Open> {
  const columns = { id: { type: 'int', primary: true, generated: true }, text: { type: 'text' } } as const
  const Note = new EntitySchema<{ id: number; text: string }>({ name: 'notes', columns })
  const { connectionString, ...extra } = config
  const source = new DataSource({ type: 'postgres', driver: module, url: connectionString ?? '', extra, entities: [Note] })
  await source.initialize()
  const notes = source.getRepository(Note)
  return { write: (text) => notes.save({ text }), read: () => notes.find(), close: () => source.destroy() }
}

async function openSequelize({ module, config }: Behind): Promise<Open> {
  const { application_name } = config
  const sequelize = new Sequelize(config.connectionString ?? '', {
    dialectModule: module,
    dialectOptions: { application_name },
    logging: false,
  })
  const Note = sequelize.define('note', { text: DataTypes.TEXT }, { tableName: 'notes', timestamps: false })
  return { write: (text) => Note.create({ text }), read: () => Note.findAll(), close: () => sequelize.close() }
}

async function openMikroOrm({ pool }: Behind): Promise<Open> {
  const Note = defineEntity({ name: 'Note', tableName: 'notes', properties: { id: p.integer().primary(), text: p.text() } })
  const orm = await MikroORM.init({ entities: [Note], dbName: 'postgres', driverOptions: new PostgresDialect({ pool: pool() }) })
  const write = async (text: string) => {
    const em = orm.em.fork()
    em.create(Note, { text })
    await em.flush()
  }
  return { write, read: () => orm.em.fork().find(Note, {}), close: () => orm.close() }
}

async function openPgPromise({ module, config }: Behind): Promise<Open> {
  const pgp = pgPromise({ noWarnings: true })
  Object.assign(pgp, { pg: { ...pgp.pg, Pool: module.Pool } })
  const db = pgp(config as Parameters<typeof pgp>[0])
  const write = (text: string) => db.none('INSERT INTO notes (text) VALUES ($1)', [text])
  return { write, read: () => db.any('SELECT * FROM notes'), close: () => db.$pool.end() }
}

async function openPgBoss({ pool }: Behind): Promise<Open> {
  const own = pool()
  const boss = new PgBoss({ db: { executeSql: (text, values) => own.query(text, values) }, supervise: false, schedule: false })
  await boss.start()
  await boss.createQueue('notes')
  return { write: (text) => boss.send('notes', { text }), read: () => boss.getQueues(), close: () => boss.stop({ graceful: false }) }
}

async function openGraphileWorker({ pool }: Behind): Promise<Open> {
  const own = pool()
  // It warns where the pool, or a client of it, has no listener but its own.
  own.on('error', () => {})
  own.on('connect', (client) => client.on('error', () => {}))
  const utils = await makeWorkerUtils({ pgPool: own, logger: new Logger(() => () => {}) })
  await utils.migrate()
  return { write: (text) => utils.addJob('note', { text }), close: async () => utils.release() }
}

async function openConnectPgSimple({ pool }: Behind): Promise<Open> {
  const Store = connectPgSimple(session)
  const store = new Store({ pool: pool(), createTableIfMissing: true, pruneSessionInterval: false })
  const write = (text: string) =>
    new Promise<void>((resolve, reject) => {
      const data = { cookie: new session.Cookie({ maxAge: 60_000 }), text }
      store.set(text, data, (error?: Error) => (error ? reject(error) : resolve()))
    })
  const read = () => new Promise<void>((resolve, reject) => store.get('before', (error?: Error) => (error ? reject(error) : resolve())))
  return { write, read, close: async () => store.close() }
}

async function openBetterAuth({ pool }: Behind): Promise<Open> {
  const options = {
    database: pool(),
    secret: 'only for a test, and long enough to be one',
    baseURL: 'http://127.0.0.1',
    // Its own hash takes a tenth of a second on an idle machine.
    emailAndPassword: { enabled: true, autoSignIn: false, password: { hash: async (text: string) => text, verify: async () => true } },
    telemetry: { enabled: false },
    rateLimit: { enabled: false },
  }
  const { runMigrations } = await getMigrations(options)
  await runMigrations()
  const auth = betterAuth(options)
  const { adapter } = await auth.$context
  return {
    write: (text) => auth.api.signUpEmail({ body: { name: text, email: `${text}@example.com`, password: 'only for a test' } }),
    read: () => adapter.findMany({ model: 'user' }),
  }
}

async function openNodePgMigrate({ pool }: Behind): Promise<Open> {
  const own = pool()
  const dir = await mkdtemp(join(tmpdir(), 'migrations-'))
  let number = 0
  const write = async (text: string) => {
    await writeFile(join(dir, `${++number}_note.sql`), `-- Up Migration\nINSERT INTO notes (text) VALUES ('${text}');\n`)
    const dbClient = await own.connect()
    try {
      await runner({ dbClient, dir, direction: 'up', migrationsTable: 'migrations', log: () => {} })
    } finally {
      dbClient.release()
    }
  }
  return { write, close: () => rm(dir, { recursive: true }) }
}

/** In the version of today, and in the one that Nitro depends on. */
function openDb0(createDatabase: typeof db0.createDatabase) {
  return async ({ pool }: Behind): Promise<Open> => {
    const db = createDatabase(db0Connector(pool()))
    return { write: (text) => db.sql`INSERT INTO notes (text) VALUES (${text})`, read: () => db.sql`SELECT * FROM notes` }
  }
}

export const LIBRARIES: readonly Library[] = [
  { name: 'Drizzle', listens: false, count: NOTES, open: openDrizzle },
  { name: 'Drizzle 1.0', listens: false, count: NOTES, open: openDrizzleRc },
  { name: 'Prisma', listens: true, count: NOTES, open: openPrisma },
  { name: 'Kysely', listens: false, count: NOTES, open: openKysely },
  { name: 'Knex', listens: false, count: NOTES, open: openKnex },
  { name: 'Objection', listens: false, count: NOTES, open: openObjection },
  { name: 'TypeORM', listens: true, count: NOTES, open: openTypeOrm },
  { name: 'MikroORM', listens: false, keepsPlace: true, count: NOTES, open: openMikroOrm },
  { name: 'pg-promise', listens: true, count: NOTES, open: openPgPromise },
  { name: 'db0 0.4', listens: false, count: NOTES, open: openDb0(db0.createDatabase) },
  { name: 'db0 0.3', listens: false, count: NOTES, open: openDb0(db0OfNitro.createDatabase as typeof db0.createDatabase) },
  { name: 'node-pg-migrate', listens: false, count: NOTES, open: openNodePgMigrate },
  { name: 'pg-boss', listens: false, reads: 'queue', count: 'SELECT count(*)::int FROM pgboss.job', open: openPgBoss },
  {
    name: 'graphile-worker',
    listens: true,
    count: 'SELECT count(*)::int FROM graphile_worker.jobs',
    open: openGraphileWorker,
  },
  { name: 'connect-pg-simple', listens: false, reads: 'session', count: 'SELECT count(*)::int FROM session', open: openConnectPgSimple },
  { name: 'better-auth', listens: false, reads: 'user', count: 'SELECT count(*)::int FROM "user"', open: openBetterAuth },
]

/** It has a pool of its own, which takes a module for its `Client` alone. */
export const SEQUELIZE: Library = { name: 'Sequelize', listens: true, count: NOTES, open: openSequelize }
