/**
 * Prisma's adapter for pg, which turns the errors of the driver into Prisma's own by their `code`, `errno` and `syscall`.
 *
 * Of a write that was lost node-postgres says ECONNRESET, which becomes P1017, "Server has closed the connection": people retry that. The
 * error of Thaw is not taken for anything that it is not.
 */

import { PrismaPg } from '@prisma/adapter-pg'
import { OutcomeUnknownError, Pool } from '@thaw/pg'
import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'

type Adapter = Awaited<ReturnType<PrismaPg['connect']>>

let server: PostgresServer
let proxy: FaultProxy
const adapters: Adapter[] = []

beforeAll(async () => {
  server = await startPostgres()
  await server.query('CREATE TABLE notes (text text PRIMARY KEY)')
})
afterAll(() => server.close())
beforeEach(async () => {
  proxy = await startFaultProxy(server)
})
afterEach(async () => {
  await Promise.all(adapters.splice(0).map((adapter) => adapter.dispose()))
  await proxy.close()
})

async function adapterOn(driver: 'pg' | 'thaw'): Promise<Adapter> {
  const config = { connectionString: proxy.urlFor(server.url), max: 1, connectionTimeoutMillis: 2000 }
  const pool = driver === 'pg' ? new pg.Pool(config) : new Pool(config)
  const adapter = await new PrismaPg(pool, { disposeExternalPool: true }).connect()
  adapters.push(adapter)
  return adapter
}

const statement = (sql: string, ...args: unknown[]) => ({
  sql,
  args,
  argTypes: args.map(() => ({ scalarType: 'string', arity: 'scalar' }) as const),
})
const insert = (text: string) => statement('INSERT INTO notes VALUES ($1)', text)
const failure = (work: Promise<unknown>): Promise<Error> =>
  work.then(
    () => Promise.reject(new Error('should have failed')),
    (error) => error,
  )

async function loseAnswer(driver: 'pg' | 'thaw', text: string): Promise<Error> {
  const adapter = await adapterOn(driver)
  await adapter.queryRaw(statement('SELECT 1'))
  const lost = proxy.loseNextAnswer({ containing: 'notes' })
  const error = await failure(adapter.executeRaw(insert(text)))
  await lost.struck
  expect((await server.query('SELECT FROM notes WHERE text = $1', [text])).rowCount).toBe(1)
  return error
}

test('a write whose answer is lost: the truth, and not P1017', async () => {
  expect(await loseAnswer('pg', 'pg')).toMatchObject({ name: 'DriverAdapterError', cause: { kind: 'ConnectionClosed' } })
  const error = await loseAnswer('thaw', 'thaw')
  expect(error).toBeInstanceOf(OutcomeUnknownError)
  expect(error).toMatchObject({ code: '08007', retryable: false })
})

test('a statement lost inside a transaction: P1017, nothing of it remains', async () => {
  const transaction = await (await adapterOn('thaw')).startTransaction()
  const lost = proxy.loseNextAnswer({ containing: 'notes' })
  const error = await failure(transaction.executeRaw(insert('rolled back')))
  await lost.struck
  expect(error).toMatchObject({ name: 'DriverAdapterError', cause: { kind: 'ConnectionClosed' } })
  await transaction.rollback()
  expect((await server.query("SELECT FROM notes WHERE text = 'rolled back'")).rowCount).toBe(0)
})

test.each([
  ['pg', 'cold'],
  ['thaw', 'cold'],
  ['thaw', 'warm'],
] as const)('a server that is away: P1001, with its address (%s, %s)', async (driver, state) => {
  const adapter = await adapterOn(driver)
  if (state === 'warm') await adapter.queryRaw(statement('SELECT 1'))
  proxy.away()
  expect(await failure(adapter.queryRaw(statement('SELECT 1')))).toMatchObject({
    name: 'DriverAdapterError',
    cause: { kind: 'DatabaseNotReachable', host: proxy.host, port: proxy.port },
  })
})

test("what the server answers is Prisma's own, as ever", async () => {
  const adapter = await adapterOn('thaw')
  await adapter.executeRaw(insert('twice'))
  expect(await failure(adapter.executeRaw(insert('twice')))).toMatchObject({
    name: 'DriverAdapterError',
    cause: { kind: 'UniqueConstraintViolation', originalCode: '23505' },
  })
})
