import { AsyncLocalStorage } from 'node:async_hooks'
import { currentInvocation, type TrackedPool, trackPool } from '@thaw/core'
import type { NextRequest } from 'next/server.js'
import { afterEach, beforeEach, describe, expect, expectTypeOf, test, vi } from 'vitest'
import { after } from './after.ts'
import type { HostContext } from './host.ts'
import { withThaw } from './with-thaw.ts'

const tasks: unknown[] = []
vi.mock('next/server.js', () => ({ after: (task: unknown) => void tasks.push(task) }))
// As Next.js does.
Object.assign(globalThis, { AsyncLocalStorage })

const LEAK = { acquiredAt: '    at handler (app.ts:3:9)' }
const told: string[] = []
const leaves: (() => void)[] = []
/** Platforms know a pool for as long as it lives: nothing else here saves one from the garbage collector. */
const alive = new Set<TrackedPool>()
const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
/** As an error, whose stack Next.js maps to the sources. */
const warned = () => (warn.mock.calls[0]?.[0] as Error | undefined)?.stack
let isHeld = false

function join(parts: Partial<TrackedPool> = {}): TrackedPool {
  const member: TrackedPool = {
    pool: {},
    begin: () => void told.push('begin'),
    holds: () => isHeld,
    finish: () => {
      told.push('finish')
      return isHeld ? [LEAK] : []
    },
    closeIdle: async () => {},
    ...parts,
  }
  alive.add(member)
  leaves.push(trackPool(member))
  return member
}
beforeEach(() => void join())
afterEach(() => {
  for (const leave of leaves.splice(0)) leave()
  alive.clear()
  told.length = 0
  tasks.length = 0
  isHeld = false
  warn.mockClear()
})

/** What React gives for what it could not send, such as an event: nothing can be read of it, but that it is no promise. */
function opaque(): unknown {
  return new Proxy(() => {}, {
    get(_, name) {
      if (name === 'then') return undefined
      throw new Error(`Cannot access ${String(name)} on the server. You cannot dot into a temporary client reference`)
    },
  })
}

describe('what comes out is like what went in', () => {
  test('a route handler, whose request is typed', async () => {
    async function GET(this: unknown, _request: NextRequest, context: { params: Promise<{ id: string }> }) {
      return Response.json({ id: (await context.params).id })
    }
    const wrapped = withThaw(GET)
    expectTypeOf(wrapped).toEqualTypeOf<typeof GET>()
    expect({ name: wrapped.name, length: wrapped.length }).toEqual({ name: 'GET', length: 2 })
    withThaw(async (request) => {
      expectTypeOf(request).toEqualTypeOf<NextRequest>()
      return new Response()
    })
    withThaw(async (request, { params }: { params: Promise<{ id: string }> }) => {
      expectTypeOf(request).toEqualTypeOf<NextRequest>()
      return Response.json(await params)
    })
  })

  test('a server action', async () => {
    const action = withThaw(async (previous: { count: number }, form: FormData) => ({ count: previous.count + [...form].length }))
    expectTypeOf(action).toEqualTypeOf<(previous: { count: number }, form: FormData) => Promise<{ count: number }>>()
    expect(await action({ count: 1 }, new FormData())).toEqual({ count: 1 })
    expect(told).toEqual(['begin', 'finish'])
  })

  test('a server action that is given what only the client can look into, as by onClick={save}', async () => {
    const event = opaque()
    expect(await withThaw(async (given: unknown) => given)(event)).toBe(event)
    expect(told).toEqual(['begin', 'finish'])
  })
})

test('the request of a static route need not be one of which anything can be read', async () => {
  // As Next.js makes it where `dynamic` is 'error' or 'force-static'.
  const request = new Proxy(new Request('http://app.example/'), {})
  expect(() => request.signal).toThrow(TypeError)
  expect(await (await withThaw(async (_request: Request) => new Response('static'))(request)).text()).toBe('static')
  expect(told).toEqual(['begin', 'finish'])
})

describe('an invocation', () => {
  test.each(['@vercel/request-context', '@next/request-context'])('is held by the host, by %s', async (name) => {
    const held: Promise<unknown>[] = []
    const endsAt = Date.now() + 100_000
    const context: HostContext = {
      deadline: new Date(endsAt).toISOString(),
      headers: { 'x-vercel-id': 'iad1::abc' },
      waitUntil: (promise) => void held.push(promise),
    }
    Object.assign(globalThis, { [Symbol.for(name)]: { get: () => context } })
    try {
      const seen = await withThaw(async () => ({
        ...currentInvocation(),
        deadlineAt: currentInvocation()?.deadlineAt,
        id: currentInvocation()?.id,
      }))()
      expect(seen.id).toBe('iad1::abc')
      expect(seen.deadlineAt).toBe(endsAt - 500)
      expect(held).toHaveLength(1)
      await held[0]
    } finally {
      Object.assign(globalThis, { [Symbol.for(name)]: undefined })
    }
  })

  test('lasts until the stream has been read with which a server action answers', async () => {
    const stream = new ReadableStream<string>({
      pull(controller) {
        controller.enqueue('row')
        controller.close()
      },
    })
    expect(await withThaw(async () => stream)()).toBe(stream)
    expect(told).toEqual(['begin'])
    for await (const row of stream) expect(row).toBe('row')
    await expect.poll(() => told).toEqual(['begin', 'finish'])
  })

  test('on one’s own server has an id and no deadline', async () => {
    const ids = await Promise.all([1, 2].map(() => withThaw(async () => [currentInvocation()?.id, currentInvocation()?.deadlineAt])()))
    expect(ids).toEqual([1, 2].map(() => [expect.stringMatching(/^thaw-\d+$/), Number.POSITIVE_INFINITY]))
    expect(ids[0]).not.toEqual(ids[1])
  })

  test('that throws has ended, and what is thrown passes through', async () => {
    const redirect = Object.assign(new Error('NEXT_REDIRECT'), { digest: 'NEXT_REDIRECT;push;/;307;' })
    await expect(withThaw(async () => Promise.reject(redirect))()).rejects.toBe(redirect)
    expect(told).toEqual(['begin', 'finish'])
  })

  test('warns of a client that was not given back', async () => {
    isHeld = true
    const handler = withThaw(async () => new Response(null))
    await handler()
    await handler()
    expect(warn).toHaveBeenCalledExactlyOnceWith(expect.any(Error))
    expect(warned()).toMatch(/^Thaw: a client was not released.*\n +at .*app\.ts:3:9/)
  })
})

describe('after', () => {
  test('keeps the invocation open until the task has ended', async () => {
    const handler = withThaw(async () => after(async () => void told.push('task')))
    await handler()
    expect(told).toEqual(['begin'])
    await (tasks[0] as () => Promise<void>)()
    expect(told).toEqual(['begin', 'task', 'finish'])
  })

  test('does so for a task that fails, and for a promise', async () => {
    await withThaw(async () => after(() => Promise.reject(new RangeError('no'))))()
    await expect((tasks[0] as () => Promise<void>)()).rejects.toThrow(RangeError)
    expect(told).toEqual(['begin', 'finish'])
    let resolve = () => {}
    const promise = new Promise<void>((done) => {
      resolve = done
    })
    await withThaw(async () => after(promise))()
    expect([tasks[1], told.length]).toEqual([promise, 3])
    resolve()
    await expect.poll(() => told).toHaveLength(4)
  })

  test('is that of Next.js without withThaw', () => {
    const task = () => {}
    after(task)
    expect(tasks).toEqual([task])
  })
})

describe('a pool that is made for each request', () => {
  const handlerThatMakes = (parts: () => { madeAt: string; options: object }, options = {}) => {
    const closeIdle = vi.fn(async () => {})
    const handler = withThaw(async () => {
      const invocation = currentInvocation()
      const { madeAt, options } = parts()
      if (invocation) join({ pool: { options }, origin: { invocation, madeAt }, closeIdle })
    }, options)
    return { closeIdle, handler }
  }

  test('is named the second time, once, and its connections are closed', async () => {
    const { closeIdle, handler } = handlerThatMakes(() => ({
      madeAt: '    at GET (route.ts:9:1)',
      options: { max: 1, password: 'secret' },
    }))
    await handler()
    expect(warn).not.toHaveBeenCalled()
    await handler()
    await handler()
    expect(warn).toHaveBeenCalledExactlyOnceWith(expect.any(Error))
    expect(warned()).toMatch(/^Thaw: a pool is created in each request.*onePool.*\n +at .*route\.ts:9:1/)
    expect(warned()).not.toContain('secret')
    expect(closeIdle).toHaveBeenCalledTimes(2)
  })

  test('is reported to the listener', async () => {
    const onStrayPool = vi.fn()
    const { handler } = handlerThatMakes(() => ({ madeAt: '    at POST (route.ts:5:1)', options: {} }), { onStrayPool })
    await handler()
    await handler()
    expect(onStrayPool).toHaveBeenCalledExactlyOnceWith({ madeAt: '    at POST (route.ts:5:1)' })
    expect(warn).not.toHaveBeenCalled()
  })

  test('is none if each is another: a pool for each tenant, made when it is needed', async () => {
    let tenant = 0
    const { closeIdle, handler } = handlerThatMakes(() => ({
      madeAt: '    at poolOf (tenants.ts:2:1)',
      options: { database: `t${tenant++}` },
    }))
    for (let call = 0; call < 3; call++) await handler()
    expect(warn).not.toHaveBeenCalled()
    expect(closeIdle).not.toHaveBeenCalled()
  })
})

describe('is refused', () => {
  test.each([undefined, null, {}, 'GET'])('%o', (given) => {
    expect(() => withThaw(given as never)).toThrow(expect.objectContaining({ kind: 'option', option: 'handler' }))
  })

  test.each([
    ['a page', { params: Promise.resolve({}), searchParams: Promise.resolve({}) }],
    ['a layout', { params: Promise.resolve({}), children: [] }],
  ])('%s, when it is rendered', (_, props) => {
    function OrdersPage(_: object) {
      return null
    }
    expect(() => withThaw(OrdersPage)(props)).toThrow('wraps a page or a layout (OrdersPage)')
    expect(told).toEqual([])
  })

  test('what is a server action already', () => {
    const action = Object.assign(async () => {}, { $$typeof: Symbol.for('react.server.reference'), $$id: '40ab' })
    expect(() => withThaw(action)).toThrow("'use server'")
  })

  test.each([{ deadlineMarginMillis: -1 }, { margin: 5 }, { onLeak: true }, { onStrayPool: 1 }])('the option %o', (options) => {
    expect(() => withThaw(() => new Response(), options as never)).toThrow(expect.objectContaining({ kind: 'option' }))
  })
})
