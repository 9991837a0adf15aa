/**
 * Neon over WebSocket: connections that die while they are idle, and under a statement. Layer: the network before Neon, Neon itself, the database
 * behind it. With the driver's own Pool the callers fail or wait for ever; with Thaw's every call ends, and nothing is written twice.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { Pool as PlainPool } from '@neondatabase/serverless'
import { Pool } from '@thaw/neon'
import { createStoppableClock, type Neon } from '@thaw/testkit'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from '../faults/one-neon.ts'

useOneNeon()

const CONNECTIONS = 3
const CALLS = 4
/** For the plain pool, which would wait for ever. */
const PLAIN_MILLIS = 2000
const AWAY_MILLIS = 300

beforeAll(() => neon.postgres.query('CREATE TABLE orders (id int)'))
beforeEach(async () => {
  await neon.network.accept()
  await neon.compute.accept()
  await neon.postgres.query('TRUNCATE orders')
})

const end = () => Promise.all([neon.network.accept(), neon.compute.accept()])

interface Querying {
  query(text: string): Promise<{ rows: unknown[] }>
}

/** What became of the same calls, all at once. */
async function callsOn(pool: Querying, textOf: (id: number) => string): Promise<(string | undefined)[]> {
  const ids = Array.from({ length: CALLS }, (_, id) => id)
  return Promise.all(
    ids.map((id) =>
      pool.query(textOf(id)).then(
        () => undefined,
        (error: Error) => error.message,
      ),
    ),
  )
}

const insert = (id: number) => `INSERT INTO orders VALUES (${id}) -- long enough for an ambush`
const stored = async () => (await neon.postgres.query<{ id: number }>('SELECT id FROM orders ORDER BY id')).rows.map(({ id }) => id)
const countOf = (ends: (string | undefined)[]) => ends.filter((end) => end !== undefined).length
const ALL = Array.from({ length: CALLS }, (_, id) => id)

function createPlain(): PlainPool {
  const pool = new PlainPool({
    connectionString: neon.url,
    max: CONNECTIONS,
    query_timeout: PLAIN_MILLIS,
    connectionTimeoutMillis: PLAIN_MILLIS,
  })
  pool.on('error', () => {})
  return pool
}

/** As many connections as there may be, all idle. */
async function warm(pool: Pool | PlainPool): Promise<void> {
  const clients = await Promise.all(Array.from({ length: CONNECTIONS }, () => pool.connect()))
  for (const client of clients) {
    await client.query('SELECT 1')
    // The plain driver removes it while the client is in use, and an error would end the process.
    client.on('error', () => {})
  }
  for (const client of clients) client.release()
}

interface IdleFault {
  readonly name: string
  strike(): unknown
  /** Of four calls on plain Neon: how many fail. `some` where it depends on who comes first. */
  readonly plain: 'all connections' | 'some' | 'none'
}

const cut = (kind: Parameters<Neon['network']['cut']>[0]): IdleFault => ({
  name: kind,
  strike: () => expect(neon.network.cut(kind)).toBeGreaterThanOrEqual(CONNECTIONS),
  plain: 'all connections',
})

/** Struck in the same turn in which the calls are made, as when a process wakes up and does not know yet. */
const IDLE_FAULTS: readonly IdleFault[] = [
  cut('fin'),
  cut('rst'),
  cut('fin-on-next-byte'),
  cut('rst-on-next-byte'),
  cut('drop'),
  { name: 'the compute dies', strike: () => expect(neon.compute.cut('rst')).toBeGreaterThanOrEqual(CONNECTIONS), plain: 'all connections' },
  {
    name: 'the network is away for a moment',
    strike: () => expect(neon.network.away()).toBeGreaterThanOrEqual(CONNECTIONS),
    plain: 'some',
  },
  {
    name: 'the compute cannot be reached for a moment',
    strike: () => expect(neon.compute.away()).toBeGreaterThanOrEqual(CONNECTIONS),
    plain: 'some',
  },
  {
    name: 'what is in front of Neon answers upgrades with 503',
    strike() {
      expect(neon.network.cut('fin')).toBeGreaterThanOrEqual(CONNECTIONS)
      neon.answerNext(503, { times: 2 })
    },
    plain: 'some',
  },
]

describe('connections that died while they were idle', () => {
  test.for(IDLE_FAULTS)('$name', async ({ strike, plain }) => {
    const stock = createPlain()
    await warm(stock)
    strike()
    const failed = countOf(await callsOn(stock, insert))
    expect(failed).toBeGreaterThanOrEqual(plain === 'all connections' ? CONNECTIONS : 1)
    await end()
    stock.end().catch(() => {})
    neon.network.cut('rst')
    await neon.postgres.query('TRUNCATE orders')

    const clock = createStoppableClock()
    const pool = new Pool({ connectionString: neon.url, max: CONNECTIONS, clock, idleTimeoutMillis: 0, connectionTimeoutMillis: 60_000 })
    await warm(pool)
    clock.addWall(60_000)
    strike()
    const over = sleep(AWAY_MILLIS).then(end)
    expect(await callsOn(pool, insert)).toEqual(ALL.map(() => undefined))
    expect(await stored()).toEqual(ALL)
    // Beside one that is raced there may be one more, until it is known to be dead: after probeTimeoutMillis, a second.
    await expect.poll(() => pool.totalCount).toBeLessThanOrEqual(CONNECTIONS)
    await warm(pool)
    expect(pool.idleCount).toBe(CONNECTIONS)
    await pool.end()
    // Or it would end what the next test begins.
    await over
  })

  test('a compute that has scaled to zero is waited for, and no session is mistaken for a living one', async () => {
    const pool = new Pool({ connectionString: neon.url, max: CONNECTIONS, connectionTimeoutMillis: 60_000 })
    await warm(pool)
    await neon.suspend({ wakeMillis: 500 })
    const { wakes } = neon.counters
    expect(await callsOn(pool, insert)).toEqual(ALL.map(() => undefined))
    expect(await stored()).toEqual(ALL)
    expect(neon.counters.wakes).toBe(wakes + 1)
    await pool.end()
  })
})

describe('a connection that is lost under a statement', () => {
  test.for(['loseNextRequest', 'loseNextAnswer'] as const)('%s: a read is sent again, a write is reported', async (lose) => {
    const stock = createPlain()
    await stock.query('SELECT 1')
    const first = neon.network[lose]()
    await expect(stock.query(`SELECT 'a read that is long enough'`)).rejects.toThrow()
    await first.struck
    await stock.end()

    const pool = new Pool({ connectionString: neon.url, max: 1 })
    await pool.query('SELECT 1')
    const second = neon.network[lose]()
    expect((await pool.query(`SELECT 'a read that is long enough' AS text`)).rows).toEqual([{ text: 'a read that is long enough' }])
    await second.struck
    const third = neon.network[lose]()
    await expect(pool.query(insert(1))).rejects.toMatchObject({ kind: 'outcome-unknown', code: '08007' })
    await third.struck
    expect(await stored()).toEqual(lose === 'loseNextAnswer' ? [1] : [])
    // A connection attempt is a request, too.
    await pool.query('SELECT 1')
    const fourth = neon.network[lose]()
    await pool.query({ text: insert(2), idempotent: true })
    await fourth.struck
    expect((await stored()).filter((id) => id === 2)).toHaveLength(lose === 'loseNextAnswer' ? 2 : 1)
    await pool.end()
  })

  test('query_timeout ends the statement at the database too', async () => {
    const pool = new Pool({ connectionString: `${neon.url}?application_name=bounded`, max: 1 })
    await expect(pool.query({ text: 'SELECT pg_sleep(30)', query_timeout: 200 })).rejects.toMatchObject({ kind: 'deadline' })
    await expect
      .poll(
        async () =>
          (await neon.postgres.query(`SELECT FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%' AND state = 'active'`)).rowCount,
      )
      .toBe(0)
    await pool.end()
  })

  test('a transaction: nothing of it remains, and its client says so', async () => {
    const pool = new Pool({ connectionString: neon.url, max: 1 })
    const client = await pool.connect()
    await client.query('BEGIN')
    await client.query(insert(1))
    expect(neon.network.cut('rst')).toBeGreaterThanOrEqual(1)
    await expect(client.query(insert(2))).rejects.toMatchObject({ kind: 'connection-lost', outcome: 'not-executed' })
    client.release()
    expect(await stored()).toEqual([])
    await pool.end()
  })
})

test("a proxy's last words, with a code of its own, are no answer", async () => {
  const errorResponse = { code: 'XX000', message: 'terminating connection' }
  const pool = new Pool({ connectionString: neon.url, max: 1 })
  await pool.query('SELECT 1')
  neon.compute.loseNextAnswer({ containing: 'INSERT', errorResponse })
  await expect(pool.query(insert(1))).rejects.toMatchObject({ kind: 'outcome-unknown', cause: errorResponse })
  expect(await stored()).toEqual([1])
  const lost = neon.compute.loseNextRequest({ containing: 'version', errorResponse })
  expect((await pool.query('SELECT version() AS v')).rows[0].v).toMatch(/^PostgreSQL/)
  await lost.struck
  await pool.end()
})

test('a compute that is a standby for a while: a transaction that it refuses runs again on the primary', async () => {
  await using standby = await neon.postgres.startStandby()
  const pool = new Pool({ connectionString: neon.url, max: CONNECTIONS })
  neon.compute.moveTo(standby)
  await warm(pool)
  neon.compute.moveTo(neon.postgres)
  await Promise.all([1, 2].map((id) => pool.transaction((client) => client.query(insert(id)))))
  expect(await stored()).toEqual([1, 2])
  await pool.end()
})
