/**
 * Prisma's client waits `maxWait` for a transaction to begin: two seconds, if it is not told otherwise. Thaw goes on trying to connect for ten.
 *
 * What breaks: a database that is away for three seconds fails every transaction with P2028, "Unable to start a transaction in the given time", which
 * says nothing of the database. Plain pg fails at once, with P1001. Thaw begins the transaction when the database is back, if Prisma lets it.
 */

import { PrismaPg } from '@prisma/adapter-pg'
import { Pool } from '@thaw/pg'
import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { until } from '../faults/until.ts'
import { type Prisma, PrismaClient } from './prisma-client.ts'

const SHORT_MILLIS = 100
/** Nothing here takes that long. */
const LONG_MILLIS = 50_000

let server: PostgresServer
let proxy: FaultProxy
let pool: pg.Pool

beforeAll(async () => {
  server = await startPostgres()
  await server.query('CREATE TABLE notes (id serial PRIMARY KEY, text text)')
})
afterAll(() => server.close())
beforeEach(async () => {
  proxy = await startFaultProxy(server)
})
afterEach(async () => {
  await pool.end()
  await proxy.close()
})

/** Knows the database already, so that an address that is refused is no typing error. */
async function open(driver: 'pg' | 'thaw', maxWait: number): Promise<Prisma> {
  const config = { connectionString: proxy.urlFor(server.url), max: 1, connectionTimeoutMillis: LONG_MILLIS }
  pool = driver === 'pg' ? new pg.Pool(config) : new Pool(config)
  const prisma = new PrismaClient({ adapter: new PrismaPg(pool), transactionOptions: { maxWait, timeout: LONG_MILLIS } })
  await prisma.note.findMany()
  proxy.away()
  await until('its connection is closed', () => proxy.flows.every(({ state }) => state === 'closed') && pool.idleCount === 0)
  return prisma
}

const write = (prisma: Prisma, text: string) => prisma.$transaction((transaction) => transaction.note.create({ data: { text } }))
const stored = async (text: string) => (await server.query('SELECT FROM notes WHERE text = $1', [text])).rowCount

test('on pg a transaction fails while the database is away, whatever maxWait says', async () => {
  const prisma = await open('pg', LONG_MILLIS)
  await expect(write(prisma, 'pg')).rejects.toMatchObject({ code: 'P1001' })
})

test('on Thaw it fails when maxWait is over, and the connection that comes later goes to the next caller', async () => {
  const prisma = await open('thaw', SHORT_MILLIS)
  await expect(write(prisma, 'too late')).rejects.toMatchObject({ code: 'P2028' })
  await proxy.accept()
  await prisma.note.create({ data: { text: 'next' } })
  expect([await stored('too late'), await stored('next')]).toEqual([0, 1])
  await until('the place is free', () => pool.idleCount === pool.totalCount)
})

test('on Thaw it begins when the database is back, where maxWait is more than connectionTimeoutMillis', async () => {
  const prisma = await open('thaw', LONG_MILLIS)
  const attempted = until('a connection was refused', () => pool.waitingCount === 1)
  const written = write(prisma, 'thaw')
  await attempted
  await proxy.accept()
  await written
  expect(await stored('thaw')).toBe(1)
})
