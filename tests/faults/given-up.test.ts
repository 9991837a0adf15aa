/**
 * The ends of `pool.transaction()`, `pool.batch()`, `once` and keys, on both drivers: a transaction that is given up, and a pool that ends while a write is being asked after.
 *
 * What breaks: a connection falls silent in the middle, and the server does not know. With plain `pg` the backend keeps its locks until the server notices, which takes hours, and a pool that ends while
 * COMMIT is under way rejects it with `ECONNRESET`. With Thaw nothing is left behind, and the caller hears what became of the write before `end()` resolves.
 */

import { Pool as NeonPool } from '@thaw/neon'
import type { Pool } from '@thaw/pg'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { failure, INSERT, useSetting } from './setting.ts'
import { until } from './until.ts'

useOneNeon()

const setting = useSetting()

beforeAll(() => neon.postgres.query('CREATE TABLE ledger (token text NOT NULL)'))
beforeEach(async () => {
  for (const server of [neon.postgres, setting.server]) await server.query('TRUNCATE ledger')
})

interface Bounds {
  readonly signal?: AbortSignal
  readonly query_timeout?: number
}

/** Each way to write that the server is asked about. */
const WRITES: readonly [string, (pool: Pool, text: string, bounds: Bounds) => Promise<unknown>][] = [
  ['transaction', (pool, text, { signal, ...rest }) => pool.transaction((client) => client.query({ text, ...rest } as never), { signal })],
  ['once', (pool, text, bounds) => pool.query({ text, ...bounds, once: true })],
  ['a key', (pool, text, bounds) => pool.query({ text, ...bounds, idempotencyKey: crypto.randomUUID() })],
  ['a batch', (pool, text, { signal, ...rest }) => pool.batch([{ text, ...rest }, 'SELECT 1'], { signal, once: false })],
  ['a batch, once', (pool, text, { signal, ...rest }) => pool.batch(['SELECT 1', { text, ...rest }], { signal, once: true })],
  [
    'a batch with a key',
    (pool, text, { signal, ...rest }) => pool.batch(['SELECT 1', { text, ...rest }], { signal, idempotencyKey: crypto.randomUUID() }),
  ],
]

const store = (pool: Pool, token: string) => pool.transaction((client) => client.query(INSERT, [token]))

describe.each([
  ['@thaw/pg', () => setting.thaw(), () => setting.proxy, () => setting.server],
  ['@thaw/neon', () => new NeonPool({ connectionString: neon.url }) as unknown as Pool, () => neon.compute, () => neon.postgres],
])('%s', (_driver, create, network, server) => {
  const tokens = async () => (await server().query<{ token: string }>('SELECT token FROM ledger ORDER BY 1')).rows.map(({ token }) => token)
  const transactions = async () => {
    const find = "SELECT FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' AND application_name <> 'thaw-testkit'"
    return (await server().query(find)).rowCount
  }

  describe('a transaction that is given up while its connection is silent leaves no backend:', () => {
    const gone = new Error('no longer wanted')
    test.each<[string, (pool: Pool) => Promise<unknown>, object]>([
      [
        'its function throws an error of its own',
        (pool) =>
          pool.transaction(async (client) => {
            await client.query(INSERT, ['left'])
            network().cut('drop')
            await failure(client.query({ text: 'SELECT 1', query_timeout: 50 } as unknown as string))
            throw gone
          }),
        gone,
      ],
      [
        'its first statement has no answer in time',
        (pool) => {
          network().loseNextAnswer({ containing: 'INSERT', cut: 'drop' })
          return pool.transaction((client) => client.query({ text: INSERT, values: ['left'], query_timeout: 50 } as never))
        },
        { kind: 'deadline' },
      ],
      [
        'its caller aborts it',
        (pool) => {
          const aborted = new AbortController()
          const work = async (client: { query(text: string, values?: string[]): Promise<unknown> }) => {
            await client.query(INSERT, ['left'])
            network().cut('drop')
            setTimeout(() => aborted.abort(gone), 20)
            await client.query('SELECT 1')
          }
          return pool.transaction(work as never, { signal: aborted.signal })
        },
        gone,
      ],
    ])('%s', async (name, give, error) => {
      const pool = create()
      // Of a connection that has just been opened nothing is known but its pid and its age.
      const isKnown = !name.startsWith('its first')
      if (isKnown) await store(pool, 'before')
      expect(await failure(give(pool))).toMatchObject(error)
      await until('nothing is left', async () => (await transactions()) === 0)
      expect(await tokens()).toEqual(isKnown ? ['before'] : [])
      await pool.end()
    })
  })

  describe('a pool that ends while the answer to a write is lost:', () => {
    const WAYS: readonly [string, (pool: Pool) => Promise<unknown>][] = [
      ['transaction', (pool) => store(pool, 'it')],
      ['once', (pool) => pool.query({ text: INSERT, values: ['it'], once: true })],
      ['a batch, once', (pool) => pool.batch([{ text: INSERT, values: ['it'] }], { once: true })],
      ['a key', (pool) => pool.query({ text: `${INSERT} RETURNING token`, values: ['it'], idempotencyKey: crypto.randomUUID() })],
    ]
    test.each(WAYS)('%s: its caller hears that it is stored, or that it is not', async (name, write) => {
      for (const [lose, stored] of [
        ['loseNextAnswer', true],
        ['loseNextRequest', false],
      ] as const) {
        const pool = create()
        await pool.createIdempotencyTable()
        await server().query('TRUNCATE ledger')
        const lost = network()[lose]({ containing: name === 'a key' ? 'INSERT INTO ledger' : 'COMMIT' })
        const written = write(pool).then(
          () => true,
          ({ outcome }) => outcome === 'not-executed' && false,
        )
        const ended = pool.end()
        await lost.struck
        expect(await written).toBe(stored)
        await ended
        expect(await tokens()).toEqual(stored ? ['it'] : [])
        expect(pool.totalCount).toBe(0)
      }
    })

    test('where nothing can be asked, end({ timeoutMillis }) waits no longer than that', async () => {
      const pool = create()
      await store(pool, 'before')
      const lost = network().loseNextAnswer({ containing: 'COMMIT' })
      const told = failure(store(pool, 'it'))
      await lost.struck
      network().refuse()
      await pool.end({ timeoutMillis: 50 })
      expect(await told).toMatchObject({ kind: 'outcome-unknown' })
      await network().accept()
    })
  })

  test('a batch with a key of which half has arrived: its backend holds the key, and is ended', async () => {
    const pool = create()
    await pool.createIdempotencyTable()
    const aborted = new AbortController()
    const lost = network().loseNextRequest({ containing: 'the last part', cut: 'drop' })
    // More than a socket takes at once.
    const parts = ['x'.repeat(2_000_000), 'the last part'].map((value) => ({ text: INSERT, values: [value] }))
    const told = failure(pool.batch(parts, { idempotencyKey: crypto.randomUUID(), signal: aborted.signal }))
    await lost.struck
    const isWaiting =
      "SELECT FROM pg_stat_activity WHERE state = 'active' AND wait_event = 'ClientRead' AND query LIKE 'INSERT INTO ledger%'"
    await until('it waits for the rest', async () => (await server().query(isWaiting)).rowCount === 1)
    aborted.abort(new Error('no longer wanted'))
    expect(await told).toMatchObject({ message: 'no longer wanted' })
    await until('its backend is gone', async () => (await server().query(isWaiting)).rowCount === 0)
    expect(await tokens()).toEqual([])
    await pool.end()
  })

  test('ROLLBACK behind a lost COMMIT is told what COMMIT was told: libraries keep only the second error', async () => {
    const pool = create()
    const client = await pool.connect()
    await client.query('BEGIN')
    await client.query(INSERT, ['it'])
    const lost = network().loseNextAnswer({ containing: 'COMMIT' })
    const error = await failure(client.query('COMMIT'))
    await lost.struck
    expect(error).toMatchObject({ kind: 'outcome-unknown' })
    expect(await failure(client.query('ROLLBACK'))).toBe(error)
    expect(await failure(client.query('SELECT 1'))).toMatchObject({ outcome: 'not-executed' })
    client.release(error)
    expect(await tokens()).toEqual(['it'])
    await pool.end()
  })

  describe('a write that its caller ends while it is at work is told as by pool.query() in a transaction:', () => {
    const SLOW = "INSERT INTO ledger SELECT 'it' FROM pg_sleep(60)"
    const isAtWork = async () => (await server().query("SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'")).rowCount === 1

    test.each(WRITES)('%s', async (name, write) => {
      const pool = create()
      await pool.createIdempotencyTable()
      const aborted = new AbortController()
      const reason = new Error('no longer wanted')
      const told = failure(write(pool, SLOW, { signal: aborted.signal }))
      await until('it is at work', isAtWork)
      aborted.abort(reason)
      const [error, late] = [await told, await failure(write(pool, SLOW, { query_timeout: 50 }))]
      // Without its id a transaction cannot be asked after: unknown, with the same as its cause.
      const isUnknown = name === 'a batch'
      if (isUnknown) for (const each of [error, late]) expect(each).toMatchObject({ kind: 'outcome-unknown' })
      expect(isUnknown ? error.cause : error).toBe(reason)
      expect(isUnknown ? late.cause : late).toMatchObject({ kind: 'deadline' })
      expect(await tokens()).toEqual([])
      await pool.end()
    })
  })

  test.each(WRITES.filter(([name]) => name.endsWith('key')))(
    '%s that is aborted when it is stored is told as stored',
    async (_name, write) => {
      const pool = create()
      await pool.createIdempotencyTable()
      const aborted = new AbortController()
      const lost = network().loseNextAnswer({ containing: 'INSERT INTO ledger', cut: 'drop' })
      const written = write(pool, "INSERT INTO ledger VALUES ('it')", { signal: aborted.signal })
      await lost.struck
      await until('it is stored', async () => (await tokens()).length === 1)
      aborted.abort(new Error('no longer wanted'))
      await written
      expect(await tokens()).toEqual(['it'])
      await pool.end()
    },
  )
})
