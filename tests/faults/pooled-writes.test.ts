/**
 * Writes that are applied once, through a pooler in transaction mode, whose request or answer is lost between the process and the pooler.
 *
 * What breaks: the connection to the pooler is reset, or falls silent and the pooler does not know either. With plain `pg` every cell is an error that says nothing, and a retry by hand writes twice in half of
 * them. With Thaw what its caller hears is what is in the table; the fence reaches the real backend, whose pid the pooler hides; and no session of the pooler's stays in a transaction.
 */

import { IDEMPOTENCY_SQL, Pool } from '@thaw/pg'
import { type FaultProxy, type Pooler, type PostgresServer, startFaultProxy, startPooler, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { INSERT } from './setting.ts'
import { until } from './until.ts'

let server: PostgresServer
let pooler: Pooler
let proxy: FaultProxy

beforeAll(async () => {
  server = await startPostgres()
  await server.query('CREATE TABLE ledger (token text NOT NULL)')
  pooler = await startPooler(server, { sessions: 2 })
  proxy = await startFaultProxy(pooler)
})
beforeEach(() => server.query('TRUNCATE ledger'))
afterAll(async () => {
  await proxy.close()
  await pooler.close()
  await server.close()
})

const config = { text: INSERT, values: ['it'] }
/** What is lost is in the flight of its end. */
const WRITES: readonly [string, string, (pool: Pool, bounds: { signal?: AbortSignal }) => Promise<unknown>][] = [
  ['a transaction', 'COMMIT', (pool) => pool.transaction((client) => client.query(config))],
  ['once', 'COMMIT', (pool) => pool.query({ ...config, once: true })],
  ['a batch, once', 'COMMIT', (pool) => pool.batch([config, 'SELECT 1'], { once: true })],
  ['a key', 'INSERT INTO ledger', (pool, bounds) => pool.query({ ...config, ...bounds, idempotencyKey: crypto.randomUUID() })],
  [
    'a batch with a key',
    'INSERT INTO ledger',
    (pool, bounds) => pool.batch([config, 'SELECT 1'], { ...bounds, idempotencyKey: crypto.randomUUID() }),
  ],
]

const rows = async () => (await server.query('SELECT FROM ledger')).rowCount
const inTransaction = "SELECT FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"

const isQuiet = async () => (await server.query(inTransaction)).rowCount === 0

async function createPool(config = {}): Promise<Pool> {
  const pool = new Pool({ connectionString: proxy.urlFor(pooler.urlFor(server.url)), ...config })
  await server.query(IDEMPOTENCY_SQL)
  return pool
}

describe('reset', () => {
  test.each(WRITES)('%s is stored once', async (_name, containing, write) => {
    for (const lose of ['loseNextAnswer', 'loseNextRequest'] as const) {
      await server.query('TRUNCATE ledger')
      const pool = await createPool()
      const lost = proxy[lose]({ containing })
      await write(pool, {})
      await lost.struck
      expect(await rows()).toBe(1)
      await until('no session is in a transaction', isQuiet)
      await pool.end()
    }
  })
})

describe('silent', () => {
  test.each(WRITES.filter(([name]) => name.endsWith('key')))(
    '%s that is aborted: the table of keys tells',
    async (_name, containing, write) => {
      for (const lose of ['loseNextAnswer', 'loseNextRequest'] as const) {
        await server.query('TRUNCATE ledger')
        const isStored = lose === 'loseNextAnswer'
        const pool = await createPool()
        const aborted = new AbortController()
        const lost = proxy[lose]({ containing, cut: 'drop' })
        const written = write(pool, { signal: aborted.signal }).then(
          () => 'stored',
          (error: Error) => error.message,
        )
        await lost.struck
        await until('the answer is on its way', async () => !isStored || (await rows()) === 1)
        aborted.abort(new Error('aborted'))
        expect(await written).toBe(isStored ? 'stored' : 'aborted')
        expect(await rows()).toBe(isStored ? 1 : 0)
        await pool.end()
      }
    },
  )

  test('a transaction whose COMMIT is lost leaves no session of the pooler in it', async () => {
    const pool = await createPool({ query_timeout: 1_500 })
    proxy.loseNextRequest({ containing: 'COMMIT', cut: 'drop' })
    await expect(pool.transaction((client) => client.query(config))).rejects.toMatchObject({ kind: 'deadline' })
    await until('no session is in a transaction', isQuiet)
    expect(await rows()).toBe(0)
    await pool.end()
  })
})
