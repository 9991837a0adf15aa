/**
 * A pool or a client behind something of the user's: a Proxy that makes the pool when it is first used, or logs each call, or an object that inherits from it. As with node-postgres,
 * whose classes have no private members.
 */

import stock from 'pg'
import { afterEach, describe, expect, test } from 'vitest'
import { server, useOneServer } from '../test/one-server.ts'
import { Client, Pool } from './index.ts'

useOneServer()

let real: Pool | undefined

afterEach(() => real?.end())

function create(): Pool {
  real = new Pool({ connectionString: server.url, max: 2 })
  return real
}

const FRONTS: readonly [string, (make: () => Pool) => Pool][] = [
  ['a Proxy', (make) => new Proxy(make(), {})],
  [
    'a Proxy that makes the pool when it is first used',
    (make) => {
      let made: Pool | undefined
      return new Proxy({} as Pool, {
        get: (_, name) => {
          made ??= make()
          return made[name as keyof Pool]
        },
      })
    },
  ],
  ['an object that inherits from it', (make) => Object.create(make())],
]

describe.each(FRONTS)('%s', (_what, inFrontOf) => {
  test('each way to use it', async () => {
    const front = inFrontOf(create)
    expect((await front.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(await new Promise((resolve) => front.query('select 2 as two', (_error, result) => resolve(result.rows)))).toEqual([{ two: 2 }])
    const client = await front.connect()
    expect((await client.query('select 3 as three')).rows).toEqual([{ three: 3 }])
    client.release()
    expect(await front.transaction(async (inside) => (await inside.query('select 4 as four')).rows)).toEqual([{ four: 4 }])
    expect((await front.batch([{ text: 'select 5 as five' }]))[0]?.rows).toEqual([{ five: 5 }])
    expect((await front.query({ text: 'select 6 as six', once: true })).rows).toEqual([{ six: 6 }])
    await front.createIdempotencyTable()
    const events: string[] = []
    const stop = front.subscribe(({ type }) => events.push(type))
    await Promise.all([1, 2, 3].map(() => front.query('select pg_sleep(0.01)')))
    stop()
    expect(events).toContain('acquired')
    expect([front.stats().total, front.totalCount, front.waitingCount]).toEqual([real?.totalCount, real?.totalCount, 0])
  })

  test('it is ended', async () => {
    const front = inFrontOf(create)
    await front.query('select 1')
    await front.end({ timeoutMillis: 1000 })
    expect([real?.ended, real?.totalCount]).toEqual([true, 0])
    real = undefined
  })
})

test('a client: its caller logs each statement, and one that is alone', async () => {
  const texts: unknown[] = []
  const logged = <Given extends object>(client: Given): Given =>
    new Proxy(client, {
      get: (target, name, receiver) => {
        const member: unknown = Reflect.get(target, name, receiver)
        if (name !== 'query') return member
        return function (this: object, ...values: unknown[]) {
          texts.push(values[0])
          return Reflect.apply(member as () => unknown, this, values)
        }
      },
    })
  const plain = logged(new stock.Client(server.url))
  await plain.connect()
  expect((await plain.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  await plain.end()
  const alone = logged(new Client(server.url))
  await alone.connect()
  expect((await alone.query('select 2 as two')).rows).toEqual([{ two: 2 }])
  await alone.end()
  const client = logged(await create().connect())
  expect((await client.query('select 3 as three')).rows).toEqual([{ three: 3 }])
  client.release()
  expect(texts).toEqual(['select 1 as one', 'select 2 as two', 'select 3 as three'])
})

test('the methods keep their names and their parameters', () => {
  const names = ['connect', 'query', 'end', 'transaction'] as const
  expect(names.map((name) => [Pool.prototype[name].name, Pool.prototype[name].length])).toEqual([
    ['connect', 2],
    ['query', 3],
    ['end', 2],
    ['transaction', 2],
  ])
  expect(Object.keys(create())).toEqual(Object.keys(new stock.Pool()))
})
