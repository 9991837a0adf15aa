/** `@vercel/functions` and we must see the same request. Fails when Vercel moves it. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { getDeadline, waitUntil } from '@vercel/functions'
import { expect, test } from 'vitest'
import { serveContexts } from '../test/serve-contexts.ts'
import { endOf, type RequestContext, requestContext } from './context.ts'

const contexts = serveContexts(new AsyncLocalStorage<RequestContext>())

test('the request is the one that @vercel/functions knows', () => {
  const held: unknown[] = []
  const context = { deadline: '2026-11-25T12:00:00.500Z', waitUntil: (promise: Promise<unknown>) => void held.push(promise) }
  contexts.run(context, () => {
    expect(requestContext()).toBe(context)
    expect(endOf(requestContext())).toBe(getDeadline()?.getTime())
    waitUntil(Promise.resolve())
    expect(held).toHaveLength(1)
  })
})

test('outside of requests there is none, and no deadline', () => {
  expect(requestContext()).toBeUndefined()
  expect([endOf(undefined), endOf({}), endOf({ deadline: 'soon' })]).toEqual([undefined, undefined, undefined])
})
