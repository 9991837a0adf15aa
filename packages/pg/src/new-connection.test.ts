/** What the user's own code does to a connection that has just been made: `connect` listeners and `onConnect`. */

import { afterEach, expect, test } from 'vitest'
import { proxy, server, useFreshProxy } from '../test/one-server.ts'
import { catchUncaught } from '../test/uncaught.ts'
import { Pool, type PoolClient, type PoolConfig } from './index.ts'

useFreshProxy()

let pool: Pool

function createPool(config: PoolConfig = {}): Pool {
  pool = new Pool({ connectionString: proxy.urlFor(server.url), max: 1, ...config })
  return pool
}

/** Does it to the first connection only. */
function once<Values extends unknown[], Result>(work: (...values: Values) => Result): (...values: Values) => Result | undefined {
  let isDone = false
  return (...values) => {
    if (isDone) return undefined
    isDone = true
    return work(...values)
  }
}

afterEach(() => pool.end({ timeoutMillis: 1000 }))

test('a connect listener that throws: the caller is told, the connection is closed, the place is free', async () => {
  const uncaught = catchUncaught()
  createPool().on(
    'connect',
    once(() => {
      throw new Error('of a listener')
    }),
  )
  await expect(pool.query('select 1')).rejects.toThrow('of a listener')
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  expect(pool.stats()).toMatchObject({ total: 1, idle: 1, waiting: 0 })
  expect(await uncaught.stop()).toEqual([])
})

test.each(['acquire', 'release', 'remove'] as const)(
  'a listener of %s that throws is uncaught, as in node-postgres, and the pool goes on',
  async (name) => {
    const uncaught = catchUncaught()
    createPool({ maxUses: 1 }).on(
      name,
      once(() => {
        throw new Error('of a listener')
      }),
    )
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect((await pool.query('select 2 as two')).rows).toEqual([{ two: 2 }])
    await expect.poll(() => pool.totalCount).toBe(0)
    // A connection has left the pool before it is closed, and `remove` is told then.
    await expect.poll(() => uncaught.messages).toEqual(['of a listener'])
    expect(await uncaught.stop()).toEqual(['of a listener'])
  },
)

test('a connection lost under onConnect is opened again: the caller had sent nothing', async () => {
  const onConnect = once(async (client: PoolClient) => {
    await client.query('select pg_terminate_backend(pg_backend_pid())')
  })
  createPool({ onConnect } as PoolConfig)
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  expect(pool.stats()).toMatchObject({ retried: 1, connected: 1 })
})

test('a connection that dies while onConnect does something else is not handed out', async () => {
  const onConnect = once(async (client: PoolClient) => {
    const ended = new Promise<void>((resolve) => client.once('end', resolve))
    proxy.cut('rst')
    await ended
  })
  createPool({ onConnect } as PoolConfig)
  const client = await pool.connect()
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  client.release()
})

test('an error of onConnect itself is told as it is, at once', async () => {
  createPool({ onConnect: () => Promise.reject(new Error('of the hook')) } as PoolConfig)
  await expect(pool.query('select 1')).rejects.toThrow('of the hook')
  expect(pool.stats()).toMatchObject({ retried: 0, total: 0 })
})
