/**
 * Users' code that throws where the driver calls it: a callback of `connect`, a statement's callback, a listener of notices, notifications or rows.
 *
 * What breaks: pg's parser is in the middle of what the socket brought. It takes what it had handed out for new when more comes, and each answer goes to
 * the statement behind its own: callers get each other's rows. Plain `pg` is spared where it closes the connection, or calls back in another turn;
 * not where a listener throws. With Thaw the exception is thrown all the same, uncaught, but when the parser is done.
 */

import { Client as StockNeonClient } from '@neondatabase/serverless'
import { Pool as NeonPool } from '@thaw/neon'
import { Pool as ThawPool } from '@thaw/pg'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { until } from './until.ts'

useOneNeon()

const BUG = 'a bug of the user'
const DRIVERS = ['@thaw/pg', '@thaw/neon'] as const
type Driver = (typeof DRIVERS)[number] | 'pg'

let pool: pg.Pool
let uncaught: string[] = []
let listeners: NodeJS.UncaughtExceptionListener[] = []

function openPool(driver: Driver, options: object = {}): pg.Pool {
  const config = { max: 1, trustMillis: 10, ...options }
  const { url } = neon.postgres
  if (driver === 'pg') pool = new pg.Pool({ connectionString: url, ...config })
  else if (driver === '@thaw/pg') pool = new ThawPool({ connectionString: url, ...config })
  else pool = new NeonPool({ connectionString: neon.url, ...config }) as unknown as pg.Pool
  pool.on('error', () => {})
  return pool
}

/** What each of three callers gets, who come one after the other while all wait. */
async function ask(): Promise<string[]> {
  const names = ['B', 'C', 'D']
  const answers = names.map((name) => pool.query('select $1::text as name', [name]))
  return Promise.all(answers.map((answer) => answer.then(({ rows }) => rows[0]?.name, String)))
}

const note = ({ message }: Error) => void uncaught.push(message)

beforeEach(() => {
  uncaught = []
  // Vitest fails a run for each of them.
  listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', note)
})
afterEach(async () => {
  if (!pool.ending) await pool.end()
  process.off('uncaughtException', note)
  for (const listener of listeners) process.on('uncaughtException', listener)
})

const bug = () => {
  throw new Error(BUG)
}

type Subscribe = (client: pg.PoolClient) => Promise<unknown>

/** Has a client throw in the middle of an answer, by a listener. */
async function throwInside(subscribe: Subscribe): Promise<void> {
  const client = await pool.connect()
  await subscribe(client)
  client.release()
}

const inAListener: readonly (readonly [name: string, subscribe: (client: pg.PoolClient) => Promise<unknown>])[] = [
  [
    'notices',
    async (client) => {
      client.once('notice', bug)
      await client.query(`do $$ begin raise notice 'look'; end $$`)
    },
  ],
  [
    'notifications',
    async (client) => {
      client.once('notification', bug)
      await client.query('listen news')
      await client.query(`select pg_notify('news', 'look')`)
      await client.query('unlisten *')
    },
  ],
  [
    'rows',
    async (client) => {
      const { Query } = client.constructor as unknown as Pick<typeof pg, 'Query'>
      const query = new Query('select 1')
      query.once('row', bug)
      const ended = new Promise((resolve) => query.once('end', resolve))
      client.query(query)
      await ended
    },
  ],
]

/** Longer than any test may take. */
const NEVER_MILLIS = 600_000

/** Of a client, as the pool calls it. */
type Query = (this: unknown, text: unknown, values: unknown, done: unknown) => unknown

/** Where the pool waits until a connection is quiet. */
const WAITS: readonly (readonly [what: string, wait: (pool: pg.Pool) => Promise<unknown>, options: object])[] = [
  [
    'a client is released under a statement',
    async (pool) => {
      const client = await pool.connect()
      client.query('select pg_sleep(0.01)').catch(() => {})
      client.release()
    },
    {},
  ],
  ['an error is answered before the server is ready', async (pool) => pool.query('select 1/0').catch(() => {}), { keepOnSqlError: true }],
  ['reads share a connection', async (pool) => Promise.all([1, 2, 3].map(() => pool.query('select 1'))), { share: true }],
]

test('on plain pg a callback of a held client that throws takes the answers of all later statements', async () => {
  openPool('pg', { query_timeout: 500 })
  const client = await pool.connect()
  client.query('select 1/0', (error) => {
    if (error) throw error
  })
  await expect(client.query('select 1')).rejects.toThrow()
  client.release(true)
})

describe.each(DRIVERS)('%s', (driver) => {
  test('a callback of connect that throws when its connection has been probed', async () => {
    openPool(driver)
    await pool.query('select 1')
    await until('it is idle', () => pool.idleCount === 1)
    await new Promise((resolve) => setTimeout(resolve, 30))
    const own = new Promise<string>((resolve) => {
      pool.connect((_error, client, release) => {
        client?.query('select $1::text as name', ['A'], (error, result) => {
          release()
          resolve(error?.message ?? result.rows[0]?.name)
        })
        bug()
      })
    })
    const others = ask()
    expect([await own, ...(await others)]).toEqual(['A', 'B', 'C', 'D'])
    expect(uncaught).toEqual([BUG])
  })

  test.each([true, false])('a callback that throws the error that it is told, with keepOnSqlError: %s', async (keepOnSqlError) => {
    openPool(driver, { keepOnSqlError })
    await pool.query('select 1')
    pool.query('select 1/0', (error) => {
      if (error) throw error
    })
    expect(await ask()).toEqual(['B', 'C', 'D'])
    expect(uncaught).toEqual(['division by zero'])
  })

  test('a callback of a held client that throws the error that it is told', async () => {
    openPool(driver)
    const client = await pool.connect()
    client.query('select 1/0', (error) => {
      if (error) throw error
    })
    await client.query('select 1')
    client.release()
    expect(await ask()).toEqual(['B', 'C', 'D'])
    expect(uncaught).toEqual(['division by zero'])
  })

  test.each(inAListener)('a listener of %s that throws', async (_name, subscribe) => {
    openPool(driver)
    await throwInside(subscribe)
    expect(await ask()).toEqual(['B', 'C', 'D'])
    expect(uncaught).toEqual([BUG])
  })

  test('callbacks of connect that throw keep no other waiter from being served', async () => {
    openPool(driver, { max: 2 })
    const served: string[] = []
    const take = (name: string) =>
      pool.connect((_error, _client, release) => {
        served.push(name)
        setImmediate(release)
        bug()
      })
    for (const name of ['A', 'B', 'C', 'D']) take(name)
    await until('all are served', () => served.length === 4)
    expect(served).toEqual(['A', 'B', 'C', 'D'])
    await until('all are idle', () => pool.idleCount === pool.totalCount)
    expect(uncaught).toEqual([BUG, BUG, BUG, BUG])
  })

  test.each(WAITS)('a listener of `drain` that throws, when %s', async (_what, wait, options) => {
    openPool(driver, { releaseTimeoutMillis: NEVER_MILLIS, ...options })
    pool.on('connect', (client) => void client.on('drain', bug))
    await wait(pool)
    expect(await ask()).toEqual(['B', 'C', 'D'])
    expect(new Set(uncaught)).toEqual(new Set([BUG]))
  })

  test.each(WAITS)('listeners that are removed, when %s', async (_what, wait, options) => {
    openPool(driver, { releaseTimeoutMillis: NEVER_MILLIS, ...options })
    let client: pg.PoolClient | undefined
    pool.on('connect', (one) => {
      client = one
    })
    const waited = wait(pool)
    // Behind the release, before the answer.
    pool.once('release', () => client?.removeAllListeners())
    await waited
    client?.removeAllListeners()
    expect(await ask()).toEqual(['B', 'C', 'D'])
    expect(uncaught).toEqual([])
  })

  test('a `log` that throws', async () => {
    openPool(driver, { log: bug, maxUses: 2 })
    expect(await ask()).toEqual(['B', 'C', 'D'])
    await pool.end()
    expect(new Set(uncaught)).toEqual(new Set([BUG]))
  })

  test('a `verify` that throws: its caller is told, and its place is free', async () => {
    let calls = 0
    const verify = (_client: object, done: () => void) => (++calls === 1 ? bug() : done())
    openPool(driver, { verify })
    expect(await ask()).toEqual([`Error: ${BUG}`, 'C', 'D'])
    expect(uncaught).toEqual([])
  })

  test.each([
    ['that it will do', undefined, 'B'],
    ['that it will not', new Error(BUG), `Error: ${BUG}`],
  ])('a `verify` that says twice %s', async (_what, error, told) => {
    let calls = 0
    const verify = (_client: object, done: (error?: Error) => void) => {
      const verdict = ++calls === 1 ? error : undefined
      done(verdict)
      done(verdict)
    }
    openPool(driver, { verify, maxUses: 1 })
    expect(await ask()).toEqual([told, 'C', 'D'])
    expect(uncaught).toEqual([])
  })

  test('a wrapper of query that calls back twice: a failure is told once', async () => {
    const unhandled: unknown[] = []
    const { prototype } = (driver === '@thaw/pg' ? pg.Client : StockNeonClient) as unknown as { prototype: { query: Query } }
    const { query } = prototype
    prototype.query = function (text, values, done) {
      if (typeof done !== 'function') return query.call(this, text, values, done)
      return query.call(this, text, values, (...results: unknown[]) => {
        done(...results)
        done(...results)
      })
    }
    const before = process.listeners('unhandledRejection')
    process.removeAllListeners('unhandledRejection')
    process.on('unhandledRejection', (reason) => unhandled.push(reason))
    try {
      openPool(driver)
      await expect(pool.query('select 1/0')).rejects.toThrow('division by zero')
      expect(await ask()).toEqual(['B', 'C', 'D'])
    } finally {
      prototype.query = query
      process.removeAllListeners('unhandledRejection')
      for (const listener of before) process.on('unhandledRejection', listener)
    }
    expect([uncaught, unhandled]).toEqual([[], []])
  })
})
