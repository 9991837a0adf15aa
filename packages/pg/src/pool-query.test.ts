/** `pool.query()` as it may be called: what plain pg does with each call, and Thaw too. */

import stock from 'pg'
import { describe, expect, test } from 'vitest'
import { proxy, server, useOneServer } from '../test/one-server.ts'
import { Pool } from './index.ts'

useOneServer()

/** As sql-template-strings and its like make them. */
class Tagged {
  readonly strings: readonly string[]
  readonly values: readonly unknown[]
  query_timeout?: number
  constructor(strings: readonly string[], ...values: readonly unknown[]) {
    this.strings = strings
    this.values = values
  }
  get text(): string {
    return this.strings.reduce((text, part, index) => `${text}$${index}${part}`)
  }
}

describe.each([
  ['pg', stock.Pool],
  ['Thaw', Pool],
])('%s', (_name, PoolClass) => {
  const withPool = async <Result>(work: (pool: stock.Pool) => Promise<Result>): Promise<Result> => {
    const pool = new PoolClass({ connectionString: server.url, max: 1 })
    try {
      await pool.query('SELECT 1')
      return await work(pool)
    } finally {
      await pool.end()
    }
  }

  test('calls no callback before query() has returned, though a value cannot be bound', () =>
    withPool(async (pool) => {
      const values = [
        {
          toPostgres() {
            throw new Error('cannot bind')
          },
        },
      ]
      let hasReturned = false
      const heard = new Promise((resolve) => pool.query('SELECT $1::text', values, (error) => resolve([error?.message, hasReturned])))
      hasReturned = true
      expect(await heard).toEqual(['cannot bind', true])
      expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    }))

  test('takes a text from a prototype, and from a getter, with a query_timeout too', () =>
    withPool(async (pool) => {
      const inherited = Object.create({ text: 'SELECT 5 AS n', rowMode: 'array' })
      const bounded = Object.assign(new Tagged(['SELECT ', '::int AS n'], 7), { query_timeout: 5000 })
      const calls = [
        inherited,
        Object.assign(Object.create(inherited), { query_timeout: 5000 }),
        new Tagged(['SELECT ', '::int AS n'], 7),
        bounded,
      ]
      const rows: unknown[] = []
      for (const call of calls) rows.push(...(await pool.query(call as stock.QueryConfig)).rows)
      expect(rows).toEqual([[5], [5], { n: 7 }, { n: 7 }])
    }))
})

describe('a client whose connection was lost while it was held', () => {
  const held = async (config: object, lose: () => void) => {
    const pool = new Pool({ connectionString: proxy.urlFor(server.url), max: 1, ...config })
    const client = await pool.connect()
    client.on('error', () => {})
    await client.query('SELECT 1')
    lose()
    const error = await client.query('SELECT 1').then(
      () => undefined,
      (thrown: Error) => thrown,
    )
    const next = await client.query({ text: 'SELECT 1', query_timeout: 5000 } as stock.QueryConfig).then(
      () => undefined,
      (thrown: Error) => thrown,
    )
    client.release(true)
    await pool.end()
    return [error, next]
  }

  test('that does not answer: found dead, with the code of a socket', async () => {
    const [error, next] = await held({ trustMillis: 0, probeTimeoutMillis: 400 }, () => proxy.cut('drop'))
    expect(error).toMatchObject({ kind: 'connection-lost', reason: 'unsent', code: 'ETIMEDOUT', syscall: 'read' })
    expect(error).toHaveProperty('errno', expect.any(Number))
    expect(next).toMatchObject({ kind: 'connection-lost', reason: 'unsent', code: 'EPIPE', syscall: 'write' })
  })

  test('whose end has come: too', async () => {
    const [error] = await held({ trustMillis: 0 }, () => proxy.cut('fin'))
    expect(error).toMatchObject({ kind: 'connection-lost', reason: 'unsent', code: 'ECONNRESET', syscall: 'read' })
  })
})

describe.each([
  ['pg', stock.Pool],
  ['Thaw', Pool],
])('%s', (_name, PoolClass) => {
  test('bounds a statement of a Client whose query waits before it calls pg’s', async () => {
    class Waiting extends stock.Client {
      // @ts-expect-error: pg's has many forms.
      override async query(...values: Parameters<stock.Client['query']>): Promise<unknown> {
        await Promise.resolve()
        return super.query(...values)
      }
    }
    const pool = new PoolClass({ connectionString: server.url, max: 1, Client: Waiting, query_timeout: 600 } as object)
    pool.on('error', () => {})
    await expect(pool.query('select pg_sleep(20)')).rejects.toThrow('Query read timeout')
    expect((await pool.query('select 1 as n')).rows).toEqual([{ n: 1 }])
    await pool.end()
  })

  test('survives the end of an idle connection whose holder took all listeners off', async () => {
    const pool = new PoolClass({ connectionString: server.url, max: 1, application_name: 'tidy' })
    const died = new Promise((resolve) => pool.on('error', resolve))
    const client = await pool.connect()
    client.removeAllListeners()
    client.release()
    await server.query(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'tidy'`)
    await died
    expect(pool.totalCount).toBe(0)
    await pool.end()
  })
})

test('a statement on a client that was released although its socket had ended is told what became of it', async () => {
  const pool = new Pool({ connectionString: server.url, max: 1 })
  const client = (await pool.connect()) as stock.PoolClient & { readonly connection: { readonly stream: { destroy(): void } } }
  client.connection.stream.destroy()
  const asked = client.query('select 1')
  client.release()
  await expect(asked).rejects.toMatchObject({ kind: 'connection-lost', outcome: 'not-executed' })
  await pool.end()
})

test.each([
  ['an array within arrays', JSON.parse('['.repeat(50_000) + ']'.repeat(50_000))],
  [
    'an array that contains itself',
    (() => {
      const circle: unknown[] = []
      circle.push(circle)
      return circle
    })(),
  ],
])('a value that cannot be sent fails its own statement, and no other that shares the connection: %s', async (_name, value) => {
  const pool = new Pool({ connectionString: server.url, max: 1, share: true })
  const ask = (of: unknown) =>
    pool.query('select $1::text[] as n', [of]).then(
      ({ rowCount }) => rowCount,
      ({ message }) => message,
    )
  for (let round = 0; round < 3; round++) await Promise.all([ask(['a']), ask(['b']), ask(['c'])])
  const tooDeep = 'Maximum call stack size exceeded'
  expect(await ask(value)).toBe(tooDeep)
  expect(await Promise.all([ask(['a']), ask(value), ask(['b'])])).toEqual([1, tooDeep, 1])
  expect([pool.totalCount, pool.idleCount, pool.waitingCount]).toEqual([1, 1, 0])
  await pool.end()
})

describe('values that the caller changes while the statement is under way', () => {
  const errorResponse = { code: '57P01', message: 'terminating connection due to administrator command' }

  test.each([
    ['an array', (values: string[]) => ['insert into stored values ($1) returning who', values] as const],
    ['a configuration', (values: string[]) => [{ text: 'insert into stored values ($1) returning who', values }] as const],
    [
      'beside a configuration, whose own pg does not use',
      (values: string[]) => [{ text: 'insert into stored values ($1) returning who', values: ['default'] }, values] as const,
    ],
  ])('are not sent the second time: %s', async (_name, form) => {
    await server.query('create table if not exists stored (who text); truncate stored')
    const pool = new Pool({ connectionString: proxy.urlFor(server.url), max: 1 })
    await pool.query('select 1')
    proxy.loseNextRequest({ containing: 'insert', cut: 'fin', errorResponse })
    const values = ['mine']
    const sent = pool.query(...(form(values) as unknown as [string, string[]]))
    values[0] = 'changed'
    values.push('more')
    expect((await sent).rows).toEqual([{ who: 'mine' }])
    expect((await server.query('select who from stored')).rows).toEqual([{ who: 'mine' }])
    await pool.end()
  })
})
