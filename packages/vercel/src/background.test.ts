/** An invocation and the work that it passed to `waitUntil`. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { waitUntil } from '@vercel/functions'
import { expect, test, vi } from 'vitest'
import { joinPool, LEAK, told } from '../test/play-pool.ts'
import { serveContexts } from '../test/serve-contexts.ts'
import type { RequestContext } from './context.ts'
import { withThaw } from './with-thaw.ts'

const contexts = serveContexts(new AsyncLocalStorage<RequestContext>())

test('goes on until all has settled that it passed to waitUntil, which may use a client', async () => {
  const pool = joinPool(true)
  const onLeak = vi.fn()
  const held = new Set<Promise<unknown>>()
  const hold = (promise: Promise<unknown>) => {
    held.add(promise)
    void promise.finally(() => held.delete(promise))
  }
  let open = () => {}
  const handler = withThaw(
    async () => {
      const work = new Promise<void>((resolve) => {
        open = resolve
      })
      waitUntil(work.then(pool.give))
      return new Response(null)
    },
    { onLeak },
  )
  await contexts.run({ waitUntil: hold }, handler)
  await new Promise(setImmediate)
  expect(told).toEqual(['begin'])
  open()
  while (held.size > 0) await Promise.all(held)
  expect([told, onLeak.mock.calls]).toEqual([['begin', 'finish'], []])
})

test('that forgot a client while its waitUntil work goes on has it taken back when that fails', async () => {
  joinPool(true)
  const onLeak = vi.fn()
  const handler = withThaw(
    async () => {
      waitUntil(Promise.reject(new Error('no')))
      return new Response(null)
    },
    { onLeak },
  )
  await contexts.run({ waitUntil: (promise) => void promise.catch(() => {}) }, handler)
  await expect.poll(() => onLeak).toHaveBeenCalledExactlyOnceWith(LEAK)
})

test('calls what it passes to waitUntil once: a query that begins when it is awaited', async () => {
  joinPool()
  let begun = 0
  // biome-ignore lint/suspicious/noThenProperty: as query builders are made.
  const lazy = { then: (resolve: (value: unknown) => void) => resolve(++begun) } as unknown as Promise<unknown>
  const handler = withThaw(async () => {
    waitUntil(lazy)
    return new Response(null)
  })
  await contexts.run({ waitUntil: async (promise) => void (await promise) }, handler)
  await new Promise(setImmediate)
  expect(begun).toBe(1)
})

test('whose context cannot be changed works as ever', async () => {
  joinPool()
  const context = Object.freeze({ waitUntil: vi.fn() })
  const handler = withThaw(async () => waitUntil(Promise.resolve()))
  await contexts.run(context, handler)
  expect(context.waitUntil).toHaveBeenCalledTimes(2)
})
