/** What we lean on inside Neon's driver, and would silently lose when it changes. */

import * as stock from '@neondatabase/serverless'
import { isStock } from '@thaw/pool'
import { expect, test } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { judgeHttp } from './http-failure.ts'

useOneNeon()

test('the socket, the client and the pool have the members that we override', () => {
  const socket = new (stock.neonConfig as unknown as new () => object)()
  for (const name of ['connect', 'rawWrite', 'end', 'destroy', 'emit']) expect(socket).toHaveProperty(name, expect.any(Function))
  expect(socket).toMatchObject({ ws: null, destroyed: false, opts: {}, coalesceWrites: true })
  for (const name of [
    '_connect',
    '_handleReadyForQuery',
    '_handleErrorMessage',
    '_errorAllQueries',
    '_pulseQueryQueue',
    '_handleCommandComplete',
  ])
    expect(stock.Client.prototype).toHaveProperty(name, expect.any(Function))
  expect((stock.Client as unknown as { Query?: unknown }).Query).toBeTypeOf('function')
  for (const name of ['_pulseQueue', '_remove', 'newClient']) expect(stock.Pool.prototype).toHaveProperty(name, expect.any(Function))
  expect(new stock.Pool()).toMatchObject({ hasFetchUnsupportedListeners: false })
})

test('a promise is executed by its own method, when it is awaited', async () => {
  const promise = stock.neon(neon.url)`SELECT 1 AS one`
  const executed: unknown[] = []
  const { execute } = promise
  promise.execute = (...values) => {
    executed.push(...values)
    return execute(...values)
  }
  expect(executed).toEqual([])
  expect(await promise).toEqual([{ one: 1 }])
  expect(executed).toEqual([promise.queryData, promise.opts])
})

test('the words for a status', async () => {
  neon.answerNext(429)
  const error = await stock.neon(neon.url)`SELECT 1`.catch((reason) => reason)
  expect(judgeHttp(error)).toBe('unsent')
})

test('the words for a compute that is gone, over HTTP', async () => {
  neon.compute.refuse()
  const error = await stock.neon(neon.url)`SELECT 1`.catch((reason) => reason)
  await neon.compute.accept()
  expect(judgeHttp(error)).toBe('unsent')
})

test('the methods that tracing tools wrap are known for what they are', () => {
  expect(isStock('pool.connect', stock.Pool.prototype.connect)).toBe(true)
  expect(isStock('pool.query', stock.Pool.prototype.query)).toBe(true)
  expect(isStock('pool.end', stock.Pool.prototype.end)).toBe(true)
  expect(isStock('client.query', stock.Client.prototype.query)).toBe(true)
})
