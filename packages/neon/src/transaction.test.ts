/** Transactions, batches, once and keys over Neon's WebSockets, and batches over HTTP: what is stored when an answer is lost. */

import * as stock from '@neondatabase/serverless'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { Pool } from './index.ts'

useOneNeon()

let pool: Pool

const INSERT = 'INSERT INTO ledger VALUES ($1)'

const admin = () => neon.postgres
const rows = async (token: string) => (await admin().query('SELECT FROM ledger WHERE token = $1', [token])).rowCount

beforeAll(() => admin().query('CREATE TABLE ledger (token text NOT NULL)'))
afterEach(async () => {
  stock.neonConfig.poolQueryViaFetch = false
  await pool.end({ timeoutMillis: 1000 })
})

test('a transaction takes one round trip more than it has statements, a batch takes one, once takes two', async () => {
  pool = new Pool({ connectionString: neon.url, max: 1, trustMillis: 60_000 })
  await pool.transaction((client) => client.query(INSERT, ['first']))
  const count = async (work: () => Promise<unknown>) => {
    const before = neon.network.counters.roundTrips
    await work()
    return neon.network.counters.roundTrips - before
  }
  const three = () =>
    pool.transaction(async (client) => {
      for (const n of [1, 2, 3]) await client.query(INSERT, [`tx-${n}`])
    })
  expect(await count(three)).toBe(4)
  expect(await count(() => pool.batch([{ text: INSERT, values: ['b'] }, 'SELECT 1']))).toBe(1)
  expect(await count(() => pool.query({ text: INSERT, values: ['o'], once: true }))).toBe(2)
  expect([await rows('tx-3'), await rows('b'), await rows('o')]).toEqual([1, 1, 1])
})

test.each([
  ['loseNextRequest', 'COMMIT'],
  ['loseNextAnswer', 'COMMIT'],
  ['loseNextAnswer', 'BEGIN'],
] as const)('a transaction whose WebSocket is lost (%s, %s) is stored once', async (lose, containing) => {
  pool = new Pool({ connectionString: neon.url, trustMillis: 60_000 })
  await pool.transaction((client) => client.query(INSERT, ['before']))
  const token = `${lose}-${containing}`
  const lost = neon.compute[lose]({ containing })
  await pool.transaction((client) => client.query(INSERT, [token]))
  await lost.struck
  expect(await rows(token)).toBe(1)
})

test('a key whose answer is lost, in the mode of HTTP too: written once', async () => {
  stock.neonConfig.poolQueryViaFetch = true
  pool = new Pool({ connectionString: neon.url, trustMillis: 60_000 })
  await pool.createIdempotencyTable()
  const lost = neon.compute.loseNextAnswer({ containing: 'lost-key' })
  const keyed = () => pool.query({ text: `${INSERT} RETURNING token`, values: ['lost-key'], idempotencyKey: 'lost-key' })
  const first = { repeated: true, rows: [{ token: 'lost-key' }], rowCount: 1, command: 'INSERT' }
  expect(await keyed()).toMatchObject(first)
  await lost.struck
  expect(await keyed()).toMatchObject(first)
  expect(await rows('lost-key')).toBe(1)
})

test('a batch over HTTP is one request and one transaction', async () => {
  stock.neonConfig.poolQueryViaFetch = true
  pool = new Pool({ connectionString: neon.url })
  const [first, second] = await pool.batch([{ text: `${INSERT} RETURNING token`, values: ['http'] }, 'SELECT 2 AS n'])
  expect([first?.rows, second?.rows]).toEqual([[{ token: 'http' }], [{ n: 2 }]])
  expect(pool.totalCount).toBe(0)
  await expect(pool.batch([{ text: INSERT, values: ['half'] }, 'SELECT 1/0'])).rejects.toMatchObject({ code: '22012' })
  expect(await rows('half')).toBe(0)
  await expect(pool.batch(['COMMIT'])).rejects.toMatchObject({ kind: 'option' })
  await expect(pool.batch([{ text: INSERT, values: ['half'], once: true } as never])).rejects.toMatchObject({ kind: 'option' })
})

test.each([
  ['LISTEN', ['LISTEN news']],
  ['COPY', ['COPY ledger TO STDOUT']],
  ['DO', ['DO $$ BEGIN END $$']],
  ['VACUUM', ['SELECT 1', 'VACUUM ledger']],
  [
    'two texts under one name',
    [
      { name: 'n', text: 'SELECT 1' },
      { name: 'n', text: 'SELECT 2' },
    ],
  ],
  ['values that are no array', [{ text: INSERT, values: { a: 1 } }]],
  ['several statements in one text', [`${INSERT.replace('$1', "'x'")}; SELECT 1`]],
])('a batch over HTTP is refused what one over WebSocket is: %s', async (_name, statements) => {
  pool = new Pool({ connectionString: neon.url })
  const message = (work: Promise<unknown>) =>
    work.then(
      () => 'was not refused',
      ({ kind, message }) => `${kind}: ${message}`,
    )
  const overWebSocket = await message(pool.batch(statements as never))
  stock.neonConfig.poolQueryViaFetch = true
  const { requests } = neon.counters
  expect(await message(pool.batch(statements as never))).toBe(overWebSocket)
  expect(overWebSocket).toMatch(/^option: /)
  expect(neon.counters.requests).toBe(requests)
})

test('a batch over HTTP has rows as arrays where they are asked for, also of one of its statements', async () => {
  stock.neonConfig.poolQueryViaFetch = true
  pool = new Pool({ connectionString: neon.url })
  const arrays = { text: 'SELECT 1 AS n, 2 AS n', rowMode: 'array' }
  const [all] = await pool.batch([arrays as never, arrays as never])
  expect(all?.rows).toEqual([[1, 2]])
  expect(pool.totalCount).toBe(0)
  const [one, other] = await pool.batch([arrays as never, 'SELECT 3 AS n'])
  expect([one?.rows, other?.rows]).toEqual([[[1, 2]], [{ n: 3 }]])
})
