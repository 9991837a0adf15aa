/**
 * Objects that throw when they are looked at, in what a transaction throws and in what is to be applied once: getters of `cause` and `code`, proxies, options and values.
 *
 * What breaks: looking for a reason to try again means looking at the error, and its getter's error would take its place. With plain `pg` the caller of a transaction by hand gets its own.
 */

import { describe, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()
const bug = () => {
  throw new Error('a bug of the user')
}
const revoked = () => {
  const { proxy, revoke } = Proxy.revocable(new Error('revoked'), {})
  revoke()
  return proxy
}

describe('what the function of a transaction throws reaches its caller', () => {
  test.each<[string, () => unknown]>([
    ['an error whose cause throws', () => Object.defineProperty(new Error('own'), 'cause', { get: bug })],
    ['an error whose code throws', () => Object.defineProperty(new Error('own'), 'code', { get: bug })],
    ['a cause whose code throws', () => new Error('own', { cause: Object.defineProperty({}, 'code', { get: bug }) })],
    ['a proxy that was revoked', revoked],
    ['an error that is frozen', () => Object.freeze(new Error('own'))],
    ['no error', () => 'a text'],
    ['nothing', () => undefined],
  ])('%s', async (_name, make) => {
    const pool = setting.thaw({ max: 1 })
    const thrown = make()
    let caught: unknown = pool
    await pool
      .transaction(async (client) => {
        await client.query(INSERT, ['thrown'])
        throw thrown
      })
      .catch((error) => {
        caught = error
      })
    expect(caught === thrown).toBe(true)
    expect(await setting.rows('thrown')).toBe(0)
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })
})

describe('what cannot be read is refused with its own error, and costs no connection', () => {
  const throwing = (name: string) => Object.defineProperty({ text: INSERT, values: ['odd'] }, name, { get: bug, enumerable: true })
  const value = { toPostgres: bug }
  test.each<[string, (pool: ReturnType<typeof setting.thaw>) => Promise<unknown>]>([
    ['a value with once', async (pool) => pool.query({ once: true, text: INSERT, values: [value] })],
    ['a getter of once', async (pool) => pool.query(throwing('once') as never)],
    ['a getter of idempotencyKey', async (pool) => pool.query(throwing('idempotencyKey') as never)],
    ['a value with a key', async (pool) => pool.query({ text: INSERT, values: [value], idempotencyKey: 'odd' })],
    ['the text of a part of a batch', async (pool) => pool.batch([throwing('text') as never])],
    ['the values of a part of a batch', async (pool) => pool.batch([throwing('values') as never])],
    ['a value of a batch', async (pool) => pool.batch(['SELECT 1', { text: INSERT, values: [value] }])],
    ['a value of a batch with once', async (pool) => pool.batch(['SELECT 1', { text: INSERT, values: [value] }], { once: true })],
    [
      'the options of a batch',
      async (pool) => pool.batch(['SELECT 1'], Object.defineProperty({}, 'signal', { get: bug, enumerable: true })),
    ],
    [
      'the options of a transaction',
      async (pool) => pool.transaction(() => 1, Object.defineProperty({}, 'retries', { get: bug, enumerable: true })),
    ],
    ['a statement of a transaction', (pool) => pool.transaction((client) => client.query(throwing('text') as never))],
    ['a value of a transaction', (pool) => pool.transaction((client) => client.query(INSERT, [value]))],
    ['pool.outcome()', async (pool) => pool.outcome(Object.defineProperty(new Error('own'), 'outcome', { get: bug }))],
  ])('%s', async (_name, send) => {
    const pool = setting.thaw({ max: 1 })
    await pool.createIdempotencyTable()
    expect(await failure(send(pool))).toMatchObject({ message: 'a bug of the user' })
    expect(await setting.rows('odd')).toBe(0)
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([1, 1, 0])
  })
})
