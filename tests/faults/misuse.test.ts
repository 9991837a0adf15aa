/**
 * Misuse of `pool.transaction()`, `pool.batch()`, `once` and keys that used to look like success.
 *
 * What breaks: nothing of the network. Two savepoints that overlap undo each other's work, a name that stands for two texts leaves a statement out, a promise on a part of a batch is not kept. With
 * plain `pg` the user sees nothing, or a table that is wrong. With Thaw it is an error that says what to write, before anything of it is sent.
 */

import { type Pool, TransactionUseError } from '@thaw/pg'
import { describe, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()

describe('a client while a part of its transaction is open', () => {
  test.each([
    ['takes no statement', (client: Parameters<Parameters<Pool['transaction']>[0]>[0]) => client.query(INSERT, ['beside'])],
    [
      'takes no other part',
      (client: Parameters<Parameters<Pool['transaction']>[0]>[0]) => client.transaction((other) => other.query(INSERT, ['beside'])),
    ],
  ])('%s: it would be undone with a part that it does not belong to', async (_name, beside) => {
    let told: unknown
    const whole = setting.thaw().transaction(async (client) => {
      await client.query(INSERT, ['whole'])
      const part = client.transaction(async (inner) => {
        await inner.query(INSERT, ['part'])
        throw new Error('undone')
      })
      told = await failure(beside(client) as Promise<unknown>)
      await part.catch(() => {})
      await client.query(INSERT, ['after'])
    })
    expect(await failure(whole)).toBe(told)
    expect(told).toBeInstanceOf(TransactionUseError)
    expect(told).toMatchObject({ message: expect.stringContaining('client.transaction()') })
    expect((await setting.server.query('SELECT token FROM ledger')).rows).toEqual([])
  })

  test('in the part itself, by the client of the whole: an error, and no hang', async () => {
    const nested = setting
      .thaw()
      .transaction((client) => client.transaction(() => client.transaction((inner) => inner.query(INSERT, ['nested']))))
    await expect(nested).rejects.toBeInstanceOf(TransactionUseError)
    expect(await setting.rows('nested')).toBe(0)
  })
})

type TransactionClient = Parameters<Parameters<Pool['transaction']>[0]>[0]

/** What its function does, and goes on as if nothing had happened. */
const SWALLOWED: readonly [string, (client: TransactionClient) => Promise<unknown>, string][] = [
  ['COMMIT by hand', (client) => client.query('COMMIT'), 'transaction-use'],
  ['the client of a part after its end', (client) => usedAfterItsPart(client), 'transaction-use'],
  [
    'a part whose statement is not awaited',
    (client) => client.transaction(async (inner) => void inner.query(INSERT, ['part'])),
    'transaction-use',
  ],
  ['a statement with a key', (client) => client.query({ text: INSERT, values: ['k'], idempotencyKey: 'k' } as never), 'option'],
  ['a part that is no function', (client) => client.transaction('x' as never), 'option'],
]

async function usedAfterItsPart(client: TransactionClient): Promise<unknown> {
  const inner = await client.transaction(async (part) => ({ part }))
  return inner.part.query(INSERT, ['late'])
}

describe('an error about misuse that the function swallows', () => {
  for (const [name, misuse, kind] of SWALLOWED) {
    test(`${name}: nothing is stored, and that error comes out`, async () => {
      const pool = setting.thaw()
      for (const isFirst of [true, false]) {
        let told: unknown
        const work = pool.transaction(async (client) => {
          if (!isFirst) await client.query(INSERT, ['before'])
          told = await failure(misuse(client))
          await client.query(INSERT, ['after'])
        })
        expect(await failure(work)).toBe(told)
        expect(told).toMatchObject({ kind })
      }
      expect((await setting.server.query('SELECT token FROM ledger')).rows).toEqual([])
      // Its connection is as good as before.
      expect(pool).toMatchObject({ totalCount: 1, idleCount: 1 })
    })
  }
})

test.each([
  ['SELECT 1; COMMIT'],
  ["INSERT INTO ledger VALUES ('hand'); END"],
  ['ROLLBACK; SELECT 1'],
  ["SELECT ';'; PREPARE TRANSACTION 'x'"],
  ['SELECT 1; /* ; */ START TRANSACTION'],
])('%s: a transaction that is ended within a text is refused, and nothing is stored', async (text) => {
  const byHand = setting.thaw().transaction(async (client) => {
    await client.query(INSERT, ['hand'])
    await client.query(text)
  })
  await expect(byHand).rejects.toBeInstanceOf(TransactionUseError)
  expect(await setting.rows('hand')).toBe(0)
})

test('what only looks like it is sent', async () => {
  const rows = await setting.thaw().transaction(async (client) => {
    await client.query(
      "SAVEPOINT mine; INSERT INTO ledger VALUES ('undone'); ROLLBACK TO mine; SELECT 'COMMIT'; SET LOCAL work_mem = '1MB'",
    )
    await client.query('CREATE FUNCTION pg_temp.it() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END; SELECT 1')
    return (await client.query('SHOW work_mem')).rows
  })
  expect(rows).toEqual([{ work_mem: '1MB' }])
  expect(await setting.rows('undone')).toBe(0)
})

describe('bad input is refused before anything is sent', () => {
  const bad = { text: INSERT, values: ['bad'] }
  test.each<[string, (pool: Pool) => Promise<unknown>, string]>([
    [
      'a batch with one name for two texts',
      (pool) =>
        pool.batch([
          { name: 'n', ...bad },
          { name: 'n', text: 'SELECT 1' },
        ]),
      'statements',
    ],
    [
      'the same with once',
      (pool) =>
        pool.batch(
          [
            { name: 'n', ...bad },
            { name: 'n', text: 'SELECT 1' },
          ],
          { once: true },
        ),
      'statements',
    ],
    ['a batch with a key on one statement', (pool) => pool.batch([{ ...bad, idempotencyKey: 'k' } as never]), 'statements'],
    ['a batch with once on one statement', (pool) => pool.batch([bad, { ...bad, once: true } as never]), 'statements'],
    ['a batch with values that are a text', (pool) => pool.batch([{ ...bad, values: 'bad' as never }]), 'statements'],
    ['a batch with once and a key', (pool) => pool.batch([bad], { once: true, idempotencyKey: 'k' }), 'once'],
    ['once and a key', (pool) => pool.query({ ...bad, once: true, idempotencyKey: 'k' }), 'once'],
    ['SET with once', (pool) => pool.query({ text: 'SET search_path = nowhere', once: true }), 'once'],
    ['RESET with a key', (pool) => pool.query({ text: '-- all\nRESET ALL', idempotencyKey: 'k' }), 'idempotencyKey'],
    ['a setting of the session with once', (pool) => pool.query({ text: "SELECT set_config('a.b', 'c', false)", once: true }), 'once'],
    ['a temporary table with a key', (pool) => pool.query({ text: 'CREATE TEMP TABLE x (y int)', idempotencyKey: 'k' }), 'idempotencyKey'],
    ['a key that is null', (pool) => pool.query({ ...bad, idempotencyKey: null as never }), 'idempotencyKey'],
    ['options that are null', (pool) => pool.transaction((client) => client.query(INSERT, ['bad']), null as never), 'options'],
    ['options of a batch that are a text', (pool) => pool.batch([bad], 'once' as never), 'options'],
  ])('%s', async (_name, call, option) => {
    const error = await failure(call(setting.thaw()))
    expect(error).toMatchObject({ kind: 'option', option })
    expect((error as Error).message).not.toMatch(/\ba object|undefined/)
    expect(await setting.rows('bad')).toBe(0)
  })

  test('a name that stands for one text, twice', async () => {
    const named = { name: 'twice', text: INSERT, values: ['twice'] }
    for (const once of [false, true]) expect(await setting.thaw().batch([named, named], { once })).toHaveLength(2)
    expect(await setting.rows('twice')).toBe(4)
  })
})
