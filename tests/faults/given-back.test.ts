/**
 * What throws while a call holds a connection: a getter, a Proxy, a `query_timeout` that is no number, a wrapper of `query` that throws.
 *
 * What breaks: the call is rejected, and its connection is never given back. With `max: 1` whatever comes next waits for ever. Plain `pg` releases its client when `client.query()` throws.
 */

import pg from 'pg'
import { beforeEach, describe, expect, test } from 'vitest'
import { INSERT, useSetting } from './setting.ts'

const setting = useSetting()
type Pool = ReturnType<typeof setting.thaw>

const bug = () => {
  throw new Error('a bug of the user')
}
let token = 0
const statement = (more: object) => ({ text: INSERT, values: [`odd ${token}`], ...more })
const throwing = (name: string, readings = 0) => {
  let left = readings
  const get = () => (left-- > 0 ? undefined : bug())
  return Object.defineProperty(statement({}), name, { get, enumerable: true })
}

const ODD: Readonly<Record<string, () => object>> = {
  'a symbol as query_timeout': () => statement({ query_timeout: Symbol('5') }),
  'a query_timeout that throws': () => statement({ query_timeout: { valueOf: bug } }),
  'a getter of query_timeout': () => throwing('query_timeout'),
  'a getter of query_timeout that throws the second time': () => throwing('query_timeout', 1),
  'a getter of types': () => throwing('types'),
  'a getter of rowMode': () => throwing('rowMode'),
  'a getter of name': () => throwing('name'),
  'a proxy that has no properties': () => new Proxy(statement({}), { ownKeys: bug, getOwnPropertyDescriptor: bug }),
}

const CALLS: Readonly<Record<string, (pool: Pool, config: object) => Promise<unknown>>> = {
  'a batch': (pool, config) => pool.batch([config as never, 'SELECT 1'], { once: false }),
  'a batch that has a key of its own': (pool, config) => pool.batch([config as never, 'SELECT 1']),
  'a batch under a key': (pool, config) => pool.batch([config as never, 'SELECT 1'], { idempotencyKey: `odd ${token}` }),
  'a batch with once': (pool, config) => pool.batch([config as never, 'SELECT 1'], { once: true }),
  key: async (pool, config) => pool.query(Object.assign(config, { idempotencyKey: `odd ${token}` }) as never),
  once: async (pool, config) => pool.query(Object.assign(config, { once: true }) as never),
  'a transaction': (pool, config) => pool.transaction((client) => client.query(config as never)),
  'a transaction whose function goes on': (pool, config) =>
    pool.transaction(async (client) => {
      await Promise.allSettled([client.query(config as never)])
      await client.query('SELECT 1')
      await client.query(config as never)
    }),
}

async function isFree(pool: Pool): Promise<void> {
  expect((await pool.query({ text: 'SELECT 1 AS one', signal: AbortSignal.timeout(3_000) })).rows).toEqual([{ one: 1 }])
  expect([pool.idleCount, pool.totalCount, pool.waitingCount]).toEqual([1, 1, 0])
}

beforeEach(() => {
  token++
})

describe.each(Object.entries(CALLS))('%s', (_name, call) => {
  test.each(Object.entries(ODD))('with %s', async (_odd, make) => {
    const pool = setting.thaw({ max: 1 })
    await pool.createIdempotencyTable()
    // From it the pool learns that there is a table of keys.
    await pool.batch([{ text: INSERT, values: ['first'] }])
    const late = new Promise<string>((resolve) => setTimeout(resolve, 5_000, 'waits for ever'))
    const told = await Promise.race([call(pool, make()).then(() => 'stored', String), late])
    expect(told).toMatch(/^stored$|a bug of the user|^OptionError: Option "query_timeout"/)
    expect(await setting.rows(`odd ${token}`)).toBe(told === 'stored' ? 1 : 0)
    await isFree(pool)
  })

  test('with a wrapper of query that throws', async () => {
    const pool = setting.thaw({ max: 1 })
    await pool.createIdempotencyTable()
    const { prototype } = pg.Client as unknown as { prototype: { query: unknown } }
    const { query } = prototype
    const late = new Promise<string>((resolve) => setTimeout(resolve, 5_000, 'waits for ever'))
    prototype.query = bug
    const told = await Promise.race([call(pool, statement({})).then(() => 'stored', String), late]).finally(() => {
      prototype.query = query
    })
    expect(told).toBe('Error: a bug of the user')
    expect(await setting.rows(`odd ${token}`)).toBe(0)
    await isFree(pool)
  })
})
