/** Methods of pg that are wrapped, as tracing tools do: each call goes through the wrapper once, whenever it was put there. */

import stock from 'pg'
import { afterEach, describe, expect, test } from 'vitest'
import { proxy, server, useOneServer } from '../test/one-server.ts'
import { Client, Pool } from './index.ts'

useOneServer()

type Method = (this: unknown, ...values: unknown[]) => unknown

const undo: (() => void)[] = []

afterEach(() => {
  for (const restore of undo.splice(0)) restore()
})

const open = (config: object = {}) => new Pool({ connectionString: proxy.urlFor(server.url), max: 1, ...config })

/** Puts `wrapper` around the method, as a tool does. */
function wrap(owner: object, name: string, wrapper: (inner: Method, self: unknown, values: unknown[]) => unknown): void {
  const methods = owner as Record<string, Method>
  const own = Object.getOwnPropertyDescriptor(owner, name)
  const inner = methods[name] as Method
  methods[name] = function (...values) {
    return wrapper(inner, this, values)
  }
  undo.push(() => {
    if (own) Object.defineProperty(owner, name, own)
    else Reflect.deleteProperty(owner, name)
  })
}

test('connect, query and end of the pool, wrapped after it was made, and unwrapped again', async () => {
  const pool = open()
  const seen: string[] = []
  await pool.query('select 0')
  for (const name of ['connect', 'query', 'end'] as const)
    wrap(stock.Pool.prototype, name, (inner, self, values) => {
      seen.push(name)
      expect(self).toMatchObject({ options: { max: 1 } })
      expect(self).toBeInstanceOf(stock.Pool)
      return inner.apply(self, values)
    })
  expect((await pool.query('select $1::int as one', [1])).rows).toEqual([{ one: 1 }])
  expect(await new Promise((resolve) => pool.query('select 2 as two', (_error, { rows }) => resolve(rows)))).toEqual([{ two: 2 }])
  await expect(pool.query('select no_such_column')).rejects.toMatchObject({ code: '42703' })
  ;(await pool.connect()).release()
  expect(seen).toEqual(['query', 'connect', 'query', 'connect', 'query', 'connect', 'connect'])
  for (const restore of undo.splice(0)) restore()
  await pool.query('select 3')
  expect(seen).toHaveLength(7)
  wrap(stock.Pool.prototype, 'end', (inner, self, values) => {
    seen.push('end')
    const ended = inner.apply(self, values)
    expect((self as Pool).ending).toBe(true)
    return ended
  })
  const late = pool.connect()
  ;(await late).release()
  await pool.end({ timeoutMillis: 1000 })
  await expect(pool.end()).rejects.toThrow('Called end on pool more than once')
  expect(seen.slice(7)).toEqual(['end', 'end'])
  expect(pool.ended).toBe(true)
})

/** What a wrapper of `client.query()` sees: each call, and how it ended. */
function watchStatements(owner: object = stock.Client.prototype): [text: unknown, how: string][] {
  const seen: [unknown, string][] = []
  wrap(owner, 'query', (inner, self, values) => {
    const callback = values.at(-1) as Method | undefined
    const [config] = values
    const text = typeof config === 'string' ? config : (config as { text?: unknown }).text
    if (typeof callback !== 'function') {
      seen.push([text, 'without a callback'])
      return inner.apply(self, values)
    }
    return inner.call(self, ...values.slice(0, -1), (...results: unknown[]) => {
      seen.push([text, results[0] ? 'failed' : 'answered'])
      callback(...results)
    })
  })
  return seen
}

test('a statement that is sent again is one call, answered once', async () => {
  const pool = open()
  await pool.query('select 1')
  const seen = watchStatements()
  const { struck } = proxy.loseNextAnswer({ containing: 'again' })
  expect((await pool.query("select 'again' as word")).rows).toEqual([{ word: 'again' }])
  await struck
  expect(seen).toEqual([["select 'again' as word", 'answered']])
  await pool.end()
})

test('one that may not be sent again has failed', async () => {
  const pool = open()
  await pool.query('create table if not exists once (line text)')
  const seen = watchStatements()
  proxy.loseNextAnswer({ containing: 'insert' })
  await expect(pool.query("insert into once values ('x')")).rejects.toMatchObject({ name: 'OutcomeUnknownError' })
  expect(seen).toEqual([["insert into once values ('x')", 'failed']])
  await pool.end()
})

test('its bounds end with each try', async () => {
  const pool = open()
  await pool.query('select 1')
  const seen = watchStatements()
  const controller = new AbortController()
  proxy.loseNextAnswer({ containing: 'bounded' })
  await pool.query({ text: "select 'bounded'", query_timeout: 10_000, signal: controller.signal })
  const client = await pool.connect()
  controller.abort()
  // Had the bound of the lost try been left standing, it would have ended this connection.
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  client.release()
  expect(seen[0]).toEqual(["select 'bounded'", 'answered'])
  await pool.end()
})

test('a value that cannot be sent fails once', async () => {
  const pool = open()
  await pool.query('select 1')
  watchStatements()
  const circular: Record<string, unknown> = {}
  circular['self'] = circular
  await expect(pool.query('select $1::jsonb', [circular])).rejects.toThrow('circular')
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  await pool.end()
})

test('a wrapper that sends something else beside it is called for each try', async () => {
  const pool = open()
  await pool.query('select 1')
  const texts: unknown[] = []
  wrap(stock.Client.prototype, 'query', (inner, self, values) => {
    texts.push(values[0])
    inner.call(self, "set application_name = 'mine'", () => {})
    return inner.apply(self, values)
  })
  proxy.loseNextAnswer({ containing: 'current_setting' })
  const { rows } = await pool.query("select current_setting('application_name') as name")
  expect(rows).toEqual([{ name: 'mine' }])
  expect(texts).toEqual(["select current_setting('application_name') as name", "select current_setting('application_name') as name"])
  await pool.end()
})

test("so is a class of the user's", async () => {
  const texts: unknown[] = []
  class Client extends stock.Client {
    override query(...values: unknown[]): never {
      texts.push(values[0])
      return (super.query as Method).apply(this, values) as never
    }
  }
  watchStatements()
  const pool = open({ Client })
  await pool.query('select 1')
  proxy.loseNextAnswer({ containing: 'again' })
  await pool.query("select 'again'")
  expect(texts).toEqual(['select 1', "select 'again'", "select 'again'"])
  await pool.end()
})

test('what the client is called with is what the wrapper is called with', async () => {
  const calls: unknown[][] = []
  const pool = open()
  wrap(stock.Client.prototype, 'query', (inner, self, values) => {
    calls.push(values)
    return inner.apply(self, values)
  })
  const client = await pool.connect()
  const told = (resolve: (value: unknown) => void) => () => resolve(undefined)
  await client.query('select 1')
  await client.query('select $1::int', [1])
  await new Promise((resolve) => client.query('select 1', told(resolve)))
  await new Promise((resolve) => client.query('select $1::int', [1], told(resolve)))
  expect(calls.map((values) => values.map((value) => typeof value))).toEqual([
    ['string'],
    ['string', 'object'],
    ['string', 'function'],
    ['string', 'object', 'function'],
  ])
  client.release()
  await pool.end()
})

describe.each([
  ['pg', stock.Client, stock.Pool],
  ['@thaw/pg', Client, Pool],
])("what is put on the prototype of the package's own Client: %s", (_name, { prototype }, OwnPool) => {
  const openOwn = (): stock.Pool => new OwnPool({ connectionString: server.url, max: 1 })

  test('connect, query and end of the clients of a pool that is there already', async () => {
    const pool = openOwn()
    const seen: string[] = []
    for (const name of ['connect', 'query', 'end'] as const)
      wrap(prototype, name, (inner, self, values) => {
        seen.push(name)
        return inner.apply(self, values)
      })
    const client = await pool.connect()
    expect(Object.getPrototypeOf(client)).toBe(prototype)
    await client.query('select 1')
    client.release()
    await pool.query('select 2')
    expect(seen).toEqual(['connect', 'query', 'query'])
    await pool.end()
    expect(seen).toEqual(['connect', 'query', 'query', 'end'])
  })

  test('a new method', async () => {
    const pool = openOwn()
    const methods = prototype as unknown as { hello?(): string }
    methods.hello = () => 'hello'
    undo.push(() => delete methods.hello)
    const client = (await pool.connect()) as unknown as { hello(): string; release(): void }
    expect(client.hello()).toBe('hello')
    client.release()
    await pool.end()
  })
})

test('a statement that is sent again is one call on our own Client, too', async () => {
  const pool = open()
  await pool.query('select 1')
  const seen = watchStatements(Client.prototype)
  proxy.loseNextAnswer({ containing: 'again' })
  expect((await pool.query("select 'again' as word")).rows).toEqual([{ word: 'again' }])
  expect(seen).toEqual([["select 'again' as word", 'answered']])
  await pool.end()
})
