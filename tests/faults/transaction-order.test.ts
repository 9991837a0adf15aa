/**
 * Statements of all kinds that are issued at once on the client of `pool.transaction()`, on both drivers.
 *
 * What breaks: nothing of the network. With plain `pg` they are executed in the order of the calls. So they are with Thaw, although BEGIN goes out in front of the first of them, and the others wait for its answer.
 */

import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { Pool as NeonPool } from '@thaw/neon'
import { Pool, TransactionUseError } from '@thaw/pg'
import stock from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { failure } from './setting.ts'

useOneNeon()

type Client = Pick<stock.ClientBase, 'query'>

/** node-postgres' own, without its types. */
const { Query } = stock as unknown as { Query: new (text: string, callback?: (error: Error | null) => void) => stock.Submittable }

let pool: Pool | stock.Pool

beforeAll(() => neon.postgres.query('CREATE TABLE seen (n int)'))
beforeEach(() => neon.postgres.query('INSERT INTO seen VALUES (0)'))
afterEach(async () => {
  await pool.end()
  await neon.postgres.query('TRUNCATE seen')
})

const seen = async () => (await neon.postgres.query('SELECT n FROM seen ORDER BY n')).rows.map(({ n }) => n)

const insert = (n: number) => `INSERT INTO seen VALUES (${n})`
const EMPTY = 'DELETE FROM seen'
const copy = (client: Client) => pipeline(Readable.from(['1\n2\n']), client.query(copyFrom('COPY seen FROM STDIN')))
const byQuery = (client: Client, text: string) =>
  new Promise<void>((resolve, reject) => {
    client.query(new Query(text, (error) => (error ? reject(error) : resolve())))
  })
const read = async (client: Client) => {
  const cursor = client.query(new Cursor('SELECT n FROM seen ORDER BY n'))
  const rows = await cursor.read(10)
  await cursor.close()
  return (rows as { n: number }[]).map(({ n }) => n)
}
const stream = async (client: Client) => {
  const rows: unknown[] = []
  for await (const row of client.query(new QueryStream('SELECT n FROM seen ORDER BY n'))) rows.push(row)
  return rows
}

const ORDERS: readonly [string, (client: Client) => readonly unknown[], unknown][] = [
  ['a read, DELETE, COPY', (client) => [client.query('SELECT 1'), client.query(EMPTY), copy(client)], [1, 2]],
  ['DELETE, COPY', (client) => [client.query(EMPTY), copy(client)], [1, 2]],
  ['COPY, DELETE', (client) => [copy(client), client.query(EMPTY)], []],
  ['a read, DELETE, new Query()', (client) => [client.query('SELECT 1'), client.query(EMPTY), byQuery(client, insert(1))], [1]],
  ['new Query(), DELETE, new Query()', (client) => [byQuery(client, insert(1)), client.query(EMPTY), byQuery(client, insert(2))], [2]],
  ['several in one text, DELETE', (client) => [client.query(`${insert(1)}; ${insert(2)}`), client.query(EMPTY)], []],
  ['DELETE, several in one text', (client) => [client.query(EMPTY), client.query(`${insert(1)}; ${insert(2)}`)], [1, 2]],
  ['DELETE, INSERT, DELETE, INSERT', (client) => [EMPTY, insert(1), EMPTY, insert(2)].map((text) => client.query(text)), [2]],
  [
    'DELETE, by callback, INSERT, by callback',
    (client) => [new Promise((resolve) => client.query(EMPTY, resolve)), new Promise((resolve) => client.query(insert(3), resolve))],
    [3],
  ],
]

/** Each driver, and plain `pg` by hand beside them. */
const DRIVERS: readonly [string, (work: (client: Client) => Promise<unknown>) => Promise<unknown>][] = [
  [
    'pg, by hand',
    async (work) => {
      pool = new stock.Pool({ connectionString: neon.postgres.url })
      const client = await pool.connect()
      await client.query('BEGIN')
      const result = await work(client)
      await client.query('COMMIT')
      client.release()
      return result
    },
  ],
  ['@thaw/pg', (work) => inThaw(new Pool({ connectionString: neon.postgres.url }), work)],
  ['@thaw/neon', (work) => inThaw(new NeonPool({ connectionString: neon.url }) as unknown as Pool, work)],
]

function inThaw(thaw: Pool, work: (client: Client) => Promise<unknown>): Promise<unknown> {
  pool = thaw
  return thaw.transaction(work)
}

describe.each(DRIVERS)('%s', (driver, run) => {
  // The driver of Neon does not export its Query.
  const orders = ORDERS.filter(([order]) => driver !== '@thaw/neon' || !order.includes('Query'))

  test.each(orders)('%s', async (_order, statements, left) => {
    await run((client) => Promise.all(statements(client)))
    expect(await seen()).toEqual(left)
  })

  test('two INSERTs, a cursor, a row stream, a DELETE', async () => {
    const results = await run(async (client) => {
      const statements = [client.query(insert(1)), client.query(insert(2)), read(client), stream(client), client.query(EMPTY)]
      return Promise.all(statements)
    })
    expect((results as unknown[]).slice(2, 4)).toEqual([
      [0, 1, 2],
      [{ n: 0 }, { n: 1 }, { n: 2 }],
    ])
    expect(await seen()).toEqual([])
  })

  test('a cursor that is closed before it could be sent', async () => {
    await run(async (client) => {
      const first = client.query(insert(1))
      const cursor = client.query(new Cursor('SELECT n FROM seen'))
      if (driver !== 'pg, by hand') await cursor.close()
      else await cursor.read(10)
      await first
      await client.query(insert(2))
    })
    expect(await seen()).toEqual([0, 1, 2])
  })

  test('COPY that is not awaited', async () => {
    await run(async (client) => void copy(client))
    expect(await seen()).toEqual([0, 1, 2])
  })
})

describe.each(DRIVERS.slice(1))('%s: what still waits when its function throws', (_driver, run) => {
  test.each([insert(1), `${insert(1)}; ${insert(1)}`])('is not sent, and told so, behind %s', async (first) => {
    const told: Promise<Error>[] = []
    const mine = new Error('mine')
    const whole = run(async (client) => {
      client.query(first).catch(() => {})
      const refused = [client.query(insert(2)), client.query('SELECT 1; SELECT 2'), read(client)]
      told.push(...refused.map(failure))
      throw mine
    })
    expect(await failure(whole)).toBe(mine)
    for (const error of await Promise.all(told)) expect(error).toBeInstanceOf(TransactionUseError)
    expect(await seen()).toEqual([0])
  })
})
