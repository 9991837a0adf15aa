/**
 * `@thaw/neon`: connections that are lost under statements, and callers who wait for them.
 *
 * What breaks: the WebSocket dies while every connection runs a statement and others wait in the queue. Waiting callers must be served by new connections:
 * there is room for one in the moment in which the old one is lost. Neon's own driver serves them; its client does not report that it has been ended, so a
 * pool that waits for its word waits for ever.
 */

import { Pool as PlainPool } from '@neondatabase/serverless'
import { Pool as ThawPool } from '@thaw/neon'
import { terminateSessions } from '@thaw/testkit'
import { sql } from 'drizzle-orm'
import { drizzle } from 'drizzle-orm/neon-serverless'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { until } from './until.ts'

useOneNeon()

type Pool = InstanceType<typeof PlainPool>

const CLASSES = { plain: PlainPool, thaw: ThawPool as unknown as typeof PlainPool } as const
/** Waiting callers that are not served are rejected by then. */
const PATIENCE_MILLIS = 20_000
/** Long enough to be lost. Where its session was ended by an administrator Thaw knows that nothing was stored, and sends it again. */
const SLOWLY = 'INSERT INTO orders SELECT 1 FROM (SELECT pg_sleep(3)) s'

let pool: Pool | undefined
let app = ''
let count = 0

beforeAll(() => neon.postgres.query('CREATE TABLE orders (id int)'))
beforeEach(() => {
  app = `waiters-${++count}`
})
afterEach(async () => {
  // A session whose client is gone sleeps on; a pool that has lost count of its connections never ends.
  await terminateSessions(neon.postgres, app)
  void pool?.end().catch(() => {})
})

function createPool(driver: keyof typeof CLASSES, max: number, connectionTimeoutMillis: number = PATIENCE_MILLIS): Pool {
  pool = new CLASSES[driver]({ connectionString: neon.url, application_name: app, max, connectionTimeoutMillis })
  pool.on('error', () => {})
  pool.on('connect', (client: { on(name: 'error', listener: () => void): unknown }) => client.on('error', () => {}))
  return pool
}

/** Its rows, or what it failed with. */
const told = (work: PromiseLike<{ rows: unknown[] }>) =>
  work.then(
    ({ rows }) => rows,
    (error: Error) => `${error.name}: ${error.message}`,
  )

const running = async (): Promise<number> =>
  (await neon.postgres.query(`SELECT FROM pg_stat_activity WHERE application_name = '${app}' AND query LIKE 'INSERT%'`)).rowCount ?? 0

/** What takes the connections away. */
const LOSSES: Readonly<Record<string, () => number | Promise<number>>> = {
  fin: () => neon.network.cut('fin'),
  rst: () => neon.network.cut('rst'),
  terminate: () => terminateSessions(neon.postgres, app),
  'compute away': () => neon.compute.cut('rst'),
}

describe.for(Object.keys(LOSSES))('lost by %s', (kind) => {
  describe.for(['plain', 'thaw'] as const)('%s', (driver) => {
    test.each([1, 3])('under the statements of all %i connections: a waiting caller is served by a new one', async (max) => {
      const own = createPool(driver, max)
      const lost = Promise.all(Array.from({ length: max }, () => told(own.query(SLOWLY))))
      await until('all statements run', async () => (await running()) === max)
      const waiting = Promise.all(Array.from({ length: max + 1 }, (_, n) => told(own.query('SELECT $1::int AS n', [n]))))
      expect(own.waitingCount).toBe(max + 1)
      expect(await LOSSES[kind]?.()).toBeGreaterThanOrEqual(max)
      const resent = driver === 'thaw' && kind === 'terminate'
      expect(await lost).toEqual(Array.from({ length: max }, () => (resent ? [] : expect.any(String))))
      expect(await waiting).toEqual(Array.from({ length: max + 1 }, (_, n) => [{ n }]))
      expect(own.totalCount).toBeLessThanOrEqual(max)
      expect(await told(own.query('SELECT 1 AS one'))).toEqual([{ one: 1 }])
    })

    test('under a transaction of Drizzle', async () => {
      const own = createPool(driver, 1, driver === 'plain' ? 2000 : PATIENCE_MILLIS)
      const database = drizzle({ client: own })
      const lost = told(database.transaction((transaction) => transaction.execute(sql.raw(SLOWLY))))
      await until('the statement runs', async () => (await running()) === 1)
      const waiting = told(database.execute(sql`SELECT 1 AS one`))
      expect(await LOSSES[kind]?.()).toBeGreaterThanOrEqual(1)
      if (driver === 'thaw') expect(await lost).toEqual(expect.any(String))
      // Drizzle rolls back on the client that is gone. On the driver's own that never ends, and the client is never given back.
      expect(await waiting).toEqual(driver === 'thaw' ? [{ one: 1 }] : expect.any(String))
    })
  })
})
