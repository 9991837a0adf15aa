/**
 * Prisma's adapter for Neon makes its pool itself, of Neon's own class, and takes no other. The pool is only a property of what `connect()` returns, and
 * has opened nothing by then: ours takes its place.
 *
 * What breaks with Neon's: a WebSocket that died while the process was frozen fails the query that finds it.
 */

import { PrismaNeon, PrismaNeonHttp } from '@prisma/adapter-neon'
import { neon as connect, OutcomeUnknownError, Pool, type PoolConfig } from '@thaw/neon'
import { createStoppableClock } from '@thaw/testkit'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { neon, useOneNeon } from '../faults/one-neon.ts'

useOneNeon()

type Adapter = Awaited<ReturnType<PrismaNeon['connect']>>

/** As docs/start/neon.md has it. */
class PrismaThaw extends PrismaNeon {
  readonly #config: PoolConfig

  constructor(config: PoolConfig) {
    super(config)
    this.#config = config
  }

  override async connect(): Promise<Adapter> {
    const adapter = await super.connect()
    return Object.assign(adapter, { client: new Pool(this.#config) })
  }
}

const adapters: Adapter[] = []

beforeAll(() => neon.postgres.query('CREATE TABLE notes (text text PRIMARY KEY)'))
afterEach(async () => {
  await Promise.all(adapters.splice(0).map((adapter) => adapter.dispose()))
})

const statement = (sql: string, ...args: unknown[]) => ({
  sql,
  args,
  argTypes: args.map(() => ({ scalarType: 'string', arity: 'scalar' }) as const),
})

async function adapterOf(Factory: new (config: PoolConfig) => PrismaNeon): Promise<Adapter> {
  const adapter = await new Factory({ connectionString: neon.url, max: 1, clock: createStoppableClock() } as PoolConfig).connect()
  adapters.push(adapter)
  return adapter
}

test('the adapter with its own pool fails on a connection that is dead; with ours it does not', async () => {
  const plain = await adapterOf(PrismaNeon)
  await plain.queryRaw(statement('SELECT 1'))
  neon.network.cut('rst-on-next-byte')
  await expect(plain.queryRaw(statement('SELECT 1'))).rejects.toThrow()
  const clock = createStoppableClock()
  const adapter = await new PrismaThaw({ connectionString: neon.url, max: 1, clock }).connect()
  adapters.push(adapter)
  await adapter.queryRaw(statement('SELECT 1'))
  expect(neon.network.cut('rst-on-next-byte')).toBeGreaterThan(0)
  clock.addWall(60_000)
  const { rows } = await adapter.queryRaw(statement('SELECT 1 AS one'))
  expect(rows).toEqual([[1]])
  expect(adapter.underlyingDriver()).toBeInstanceOf(Pool)
})

test('transactions, and errors of the server, as ever', async () => {
  const adapter = await adapterOf(PrismaThaw)
  const transaction = await adapter.startTransaction()
  await transaction.executeRaw(statement('INSERT INTO notes VALUES ($1)', 'a'))
  await transaction.executeRaw(statement('COMMIT'))
  await transaction.commit()
  await expect(adapter.executeRaw(statement('INSERT INTO notes VALUES ($1)', 'a'))).rejects.toMatchObject({
    name: 'DriverAdapterError',
    cause: { kind: 'UniqueConstraintViolation' },
  })
})

test('a write that is lost: the truth', async () => {
  const adapter = await adapterOf(PrismaThaw)
  const lost = adapter.executeRaw(statement("INSERT INTO notes SELECT 'b' FROM (SELECT pg_sleep(20)) s"))
  await expect.poll(() => neon.network.counters.flowsOpened).toBeGreaterThan(0)
  await expect
    .poll(
      async () =>
        (await neon.postgres.query("SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'INSERT INTO notes SELECT%'"))
          .rowCount,
    )
    .toBe(1)
  neon.network.cut('rst')
  await expect(lost).rejects.toBeInstanceOf(OutcomeUnknownError)
})

test('over HTTP', async () => {
  const adapter = await new PrismaNeonHttp(neon.url, {}).connect()
  Object.assign(adapter, { client: connect(neon.url).query })
  neon.answerNext(503)
  expect((await adapter.queryRaw(statement('SELECT 1 AS one'))).rows).toEqual([[1]])
})
