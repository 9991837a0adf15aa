/** Callbacks and events of a statement run in the async context of the caller that sent it, also when it was sent again. Those of plain pg run in the context of the socket, which belongs to another request. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import stock from 'pg'
import Cursor from 'pg-cursor'
import { describe, expect, test } from 'vitest'
import { proxy, server, useOneServer } from '../test/one-server.ts'
import { Pool } from './index.ts'

useOneServer()

const request = new AsyncLocalStorage<string>()

/** One connection, opened by another request than those that use it. */
async function opened(PoolClass: typeof stock.Pool, config: object = {}): Promise<stock.Pool> {
  const pool = new PoolClass({ connectionString: proxy.urlFor(server.url), max: 1, ...config })
  await request.run('opener', () => pool.query('select 1'))
  return pool
}

/** In whose context does each of them call back? */
const ways: Readonly<Record<string, (pool: stock.Pool, tell: () => void) => Promise<unknown>>> = {
  'pool.query': (pool, tell) =>
    new Promise<void>((resolve) =>
      pool.query('select 1', () => {
        tell()
        resolve()
      }),
    ),
  'client.query': async (pool, tell) => {
    const client = await pool.connect()
    await new Promise<void>((resolve) =>
      client.query('select 1', () => {
        tell()
        resolve()
      }),
    )
    client.release()
  },
  'the events of a new Query()': async (pool, tell) => {
    const client = await pool.connect()
    const query = client.query(new stock.Query('select 1'))
    query.on('row', tell)
    query.on('end', tell)
    await once(query, 'end')
    client.release()
  },
  'a read of a cursor': async (pool, tell) => {
    const client = await pool.connect()
    const cursor = client.query(new Cursor('select generate_series(1, 3)'))
    await new Promise<void>((resolve) =>
      cursor.read(9, () => {
        tell()
        resolve()
      }),
    )
    await cursor.close()
    client.release()
  },
  'the callback of a new Query()': async (pool, tell) => {
    const client = await pool.connect()
    await new Promise<void>((resolve) => {
      const told = () => {
        tell()
        resolve()
      }
      client.query(new stock.Query('select 1') as never, told as never)
    })
    client.release()
  },
}

describe.each(Object.keys(ways))('%s', (name) => {
  const seen = async (PoolClass: typeof stock.Pool) => {
    const pool = await opened(PoolClass)
    const told = new Set<string | undefined>()
    await request.run('caller', () => ways[name]?.(pool, () => told.add(request.getStore())))
    await pool.end()
    return [...told]
  }

  test('in the context of its caller', async () => {
    expect(await seen(Pool as unknown as typeof stock.Pool)).toEqual(['caller'])
  })

  test('plain pg: in that of the request which opened the connection', async () => {
    expect(await seen(stock.Pool)).toEqual(['opener'])
  })
})

describe('a statement that is sent again', () => {
  test('calls back in the context of its caller', async () => {
    const pool = await opened(Pool as unknown as typeof stock.Pool)
    const { struck } = proxy.loseNextAnswer({ containing: 'sent again' })
    const told = await request.run(
      'caller',
      () => new Promise((resolve) => pool.query("select 'sent again'", () => resolve(request.getStore()))),
    )
    await struck
    expect(told).toBe('caller')
    await pool.end()
  })

  test('tells of it, and opens its connection, in the context of its caller', async () => {
    class Client extends stock.Client {
      override connect(...values: unknown[]): never {
        told.push(['connect', request.getStore()])
        return (super.connect as (...all: unknown[]) => unknown)(...values) as never
      }
    }
    const told: [string, string | undefined][] = []
    const pool = (await opened(Pool as unknown as typeof stock.Pool, { Client })) as unknown as Pool
    pool.subscribe(({ type }) => told.push([type, request.getStore()]))
    told.length = 0
    const { struck } = proxy.loseNextAnswer({ containing: 'once more' })
    await request.run('caller', () => pool.query("select 'once more'"))
    await struck
    expect(told.filter(([type]) => ['outcome', 'retried', 'connect'].includes(type))).toEqual([
      ['outcome', 'caller'],
      ['retried', 'caller'],
      ['connect', 'caller'],
    ])
    await pool.end()
  })
})

test.each<[name: string, use: (pool: stock.Pool, tell: () => void) => void, config: (tell: () => undefined) => object]>([
  ['connect and acquire listeners', (pool, tell) => pool.on('connect', tell).on('acquire', tell), () => ({})],
  ['onConnect', () => {}, (onConnect) => ({ onConnect })],
  ['a password that is asked for', () => {}, (tell) => ({ password: () => tell() ?? decodeURIComponent(new URL(server.url).password) })],
  [
    'a class with a query of its own',
    () => {},
    (tell) => ({
      Client: class extends stock.Client {
        override query(...values: unknown[]): never {
          tell()
          return (super.query as (...all: unknown[]) => unknown)(...values) as never
        }
      },
    }),
  ],
])(
  'what is called for a statement that is sent again, is called in the context of its caller, though nothing subscribes to the pool: %s',
  async (_name, use, config) => {
    const told: (string | undefined)[] = []
    const tell = () => {
      told.push(request.getStore())
      return undefined
    }
    const { hostname: host, port, username: user, pathname } = new URL(proxy.urlFor(server.url))
    const address = {
      connectionString: undefined,
      host,
      port: Number(port),
      user,
      password: decodeURIComponent(new URL(server.url).password),
    }
    const pool = await opened(Pool as unknown as typeof stock.Pool, { ...address, database: pathname.slice(1), ...config(tell) })
    use(pool, tell)
    told.length = 0
    const { struck } = proxy.loseNextAnswer({ containing: 'called for it' })
    await request.run('caller', () => pool.query("select 'called for it'"))
    await struck
    expect(told.length).toBeGreaterThan(0)
    expect([...new Set(told)]).toEqual(['caller'])
    await pool.end()
  },
)

test('a connection is opened in the context of the caller that needs it, not of the one whose release makes room', async () => {
  const opens: (string | undefined)[] = []
  class Client extends stock.Client {
    override connect(...values: unknown[]): never {
      opens.push(request.getStore())
      return (super.connect as (...all: unknown[]) => unknown)(...values) as never
    }
  }
  const pool = await opened(Pool as unknown as typeof stock.Pool, { Client })
  const client = await pool.connect()
  const waiting = request.run('waiting', () => pool.connect())
  request.run('holder', () => client.release(true))
  ;(await waiting).release()
  expect(opens).toEqual(['opener', 'waiting'])
  await pool.end()
})
