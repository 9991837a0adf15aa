/**
 * Neon's computes, which are other servers behind the same address: a reader beside the writer, one that took its place.
 *
 * What breaks: as in two-servers.test.ts and failover.test.ts. Over WebSocket neither an address nor a port tells which server answers.
 */

import { Pool, type PoolConfig } from '@thaw/neon'
import { createFakeClock, type PostgresServer, startPostgres } from '@thaw/testkit'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { failure } from './setting.ts'
import { until } from './until.ts'

useOneNeon()

const pools: Pool[] = []

function createPool(config: PoolConfig = {}): Pool {
  const pool = new Pool({ connectionString: neon.url, ...config })
  pools.push(pool)
  return pool
}

beforeAll(() => neon.postgres.query('CREATE TABLE ledger (token text)'))
afterEach(async () => {
  neon.compute.moveTo(neon.postgres)
  await Promise.all(pools.splice(0).map((pool) => pool.end({ timeoutMillis: 1000 })))
})

test('a slow write is left alone, though another server is asked about it', async () => {
  await using other: PostgresServer = await startPostgres({ authentication: 'password' })
  // Else it would refuse the question.
  await other.query(`ALTER ROLE CURRENT_USER PASSWORD '${new URL(neon.url).password}'`)
  const outcomes: unknown[] = []
  const acquainted = createPool({ max: 1 })
  // Its first flight asks which server that is.
  await acquainted.transaction((tx) => tx.query('SELECT 1'))
  const asking = [createPool({ max: 1 }), acquainted]
  for (const pool of asking)
    pool.subscribe((event) => {
      if (event.type === 'outcome') outcomes.push(event)
    })
  const writes = asking.map((pool) => pool.query('INSERT INTO ledger SELECT $1::text FROM pg_sleep(4)', ['slow']))
  const working = "SELECT FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'INSERT INTO ledger%'"
  await until('they are at work', async () => (await neon.postgres.query(working)).rowCount === asking.length)
  neon.compute.moveTo(other)
  await createPool().query('SELECT 1')
  const before = neon.counters.webSockets
  expect((await Promise.all(writes)).map(({ rowCount }) => rowCount)).toEqual([1, 1])
  expect(neon.counters.webSockets).toBeGreaterThan(before + 1)
  expect(outcomes).toEqual([])
})

test('a pool of a replica, on purpose: writes by mistake do not renew it each time', async () => {
  await using standby = await neon.postgres.startStandby()
  neon.compute.moveTo(standby)
  const pool = createPool({ max: 3, keepOnSqlError: true, clock: createFakeClock() })
  const before = neon.counters.webSockets
  const clients = await Promise.all([1, 2, 3].map(() => pool.connect()))
  for (const client of clients) client.release()
  const write = () => failure(pool.query('INSERT INTO ledger VALUES ($1)', ['by mistake']))
  for (let count = 0; count < 10; count++) expect(await write()).toMatchObject({ code: '25006' })
  expect(pool.stats().generation).toBe(1)
  expect(neon.counters.webSockets - before).toBe(4)
})
