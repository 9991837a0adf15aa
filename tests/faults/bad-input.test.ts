/**
 * Small mistakes in a call that used to look like success, or to end the process.
 *
 * What breaks: nothing of the network. With plain `pg` an object in the place of the callback ends in an uncaught TypeError once the statement is stored, and what a callback throws is an uncaught exception.
 */

import { OptionError, type Pool, type PoolConfig, type TransactionOptions } from '@thaw/pg'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'
import { until } from './until.ts'

const setting = useSetting()

let uncaught: string[] = []
let restore: () => void
beforeEach(() => {
  uncaught = []
  const note = (kind: string) => (error: Error) => void uncaught.push(`${kind}: ${error.message}`)
  const exception = note('exception')
  const rejection = note('rejection')
  const before = { uncaughtException: process.listeners('uncaughtException'), unhandledRejection: process.listeners('unhandledRejection') }
  // Vitest fails a run for each of them.
  process.removeAllListeners('uncaughtException').removeAllListeners('unhandledRejection')
  process.on('uncaughtException', exception).on('unhandledRejection', rejection)
  restore = () => {
    process.off('uncaughtException', exception).off('unhandledRejection', rejection)
    for (const each of before.uncaughtException) process.on('uncaughtException', each)
    for (const each of before.unhandledRejection) process.on('unhandledRejection', each)
  }
})
afterEach(() => restore())

const asJavaScript = (value: unknown) => value as never

test.each<[string, (pool: Pool) => Promise<unknown>]>([
  ['a generator function', (pool) => pool.transaction(asJavaScript(function* () {}))],
  ['an async generator function', (pool) => pool.transaction(asJavaScript(async function* () {}))],
  ['one for a part', (pool) => pool.transaction((client) => client.transaction(asJavaScript(function* () {})))],
  ['retries without an end', (pool) => pool.transaction(async () => {}, { retries: Number.POSITIVE_INFINITY } as TransactionOptions)],
  ['once: null', (pool) => pool.batch([{ text: INSERT, values: ['bad'] }], { once: asJavaScript(null) })],
  ['a key as the third argument', (pool) => asJavaScript(pool.query(INSERT, ['bad'], asJavaScript({ idempotencyKey: 'k' })))],
  ['once as the third argument', (pool) => asJavaScript(pool.query(INSERT, ['bad'], asJavaScript({ once: true })))],
])('%s is an OptionError, and nothing is sent', async (_name, call) => {
  expect(await failure(call(setting.thaw()))).toBeInstanceOf(OptionError)
  expect(await setting.rows('bad')).toBe(0)
  expect(uncaught).toEqual([])
})

test.each<[string, (pool: Pool) => Promise<unknown>]>([
  ['a transaction', (pool) => pool.transaction((client) => client.query(INSERT, ['bad']))],
  ['a transaction that begins with a savepoint', (pool) => pool.transaction((client) => client.transaction(() => 1))],
  ['a batch', (pool) => pool.batch([{ text: INSERT, values: ['bad'] }])],
  ['once', (pool) => pool.query({ text: INSERT, values: ['bad'], once: true })],
  ['a key', (pool) => pool.query({ text: INSERT, values: ['bad'], idempotencyKey: 'bad' })],
])('%s with `pipeline: true` is an OptionError that names it, and costs no connection', async (_name, call) => {
  const pool = setting.thaw({ pipeline: true, max: 1 } as PoolConfig)
  await pool.createIdempotencyTable()
  expect(await failure(call(pool))).toMatchObject({ name: 'OptionError', option: 'pipeline' })
  expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  expect([pool.totalCount, pool.idleCount]).toEqual([1, 1])
  expect(await setting.rows('bad')).toBe(0)
})

test('no values, and none in a list, are the same under a key', async () => {
  const pool = setting.thaw()
  await pool.createIdempotencyTable()
  const write = (values: object) => pool.query({ text: "INSERT INTO ledger VALUES ('none')", idempotencyKey: 'none', ...values })
  expect((await write({})).repeated ?? false).toBe(false)
  expect((await write({ values: [] })).repeated).toBe(true)
  expect(await setting.rows('none')).toBe(1)
})

test.each<[string, (pool: Pool, callback: () => void) => unknown]>([
  ['pg', (_pool, callback) => setting.plain().query(INSERT, ['thrown'], callback)],
  ['once', (pool, callback) => pool.query(asJavaScript({ text: INSERT, values: ['thrown'], once: true }), asJavaScript(callback))],
  ['a transaction', (pool, callback) => pool.transaction(async (client) => client.query(INSERT, ['thrown'], callback))],
])('%s: what a callback throws is an uncaught exception', async (_name, call) => {
  void Promise.resolve(
    call(setting.thaw(), () => {
      throw new Error('a bug of the user')
    }),
  ).catch(() => {})
  await until('it is thrown', () => uncaught.length > 0)
  expect(uncaught).toEqual(['exception: a bug of the user'])
})
