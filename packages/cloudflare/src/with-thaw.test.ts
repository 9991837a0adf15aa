/** The wrapper, as far as Node can run it. The rest is in tests/platforms, in workerd. */

import { currentInvocation, OptionError, type TrackedPool, trackPool } from '@thaw/core'
import { afterEach, describe, expect, expectTypeOf, test } from 'vitest'
import { withThaw } from './with-thaw.ts'

const LEAK = { acquiredAt: '    at handler (worker.ts:3:9)' }
const URL = 'https://worker.example/'

/** Platforms know a pool for as long as it lives: nothing else here saves one from the garbage collector. */
const alive = new Set<TrackedPool>()
let leave = () => {}
afterEach(() => {
  leave()
  alive.clear()
})

/** A pool, of which the invocation holds a client until `give` is called. */
function joinPool() {
  const told: string[] = []
  let isHeld = true
  const member: TrackedPool = {
    pool: {},
    begin: () => void told.push('begin'),
    holds: () => isHeld,
    finish: () => {
      told.push('finish')
      return isHeld ? [LEAK] : []
    },
    closeIdle: async () => {},
  }
  alive.add(member)
  leave = trackPool(member)
  return {
    told,
    give: () => {
      isHeld = false
    },
  }
}

/** As the runtime's own: its method wants to be called on it. */
class Context {
  readonly #later: Promise<unknown>[] = []

  waitUntil(promise: Promise<unknown>): void {
    this.#later.push(promise)
  }

  async settled(): Promise<void> {
    for (let n = 0; n < this.#later.length; n++) await this.#later[n]
  }
}

describe('what comes out is like what went in', () => {
  test('an object of handlers, called on what was given', async () => {
    class Handlers {
      readonly #greeting = 'Hello'
      readonly port = 1

      async fetch(_request: Request, env: { name: string }, _ctx: Context) {
        return new Response(`${this.#greeting} ${env.name} ${currentInvocation() !== undefined}`)
      }

      async queue() {
        return currentInvocation() !== undefined
      }
    }
    const given = new Handlers()
    const wrapped = withThaw(given)
    expectTypeOf(wrapped).toEqualTypeOf<Handlers>()
    expect({ isHandlers: wrapped instanceof Handlers, port: wrapped.port, fetch: wrapped.fetch.length }).toEqual({
      isHandlers: true,
      port: 1,
      fetch: 3,
    })
    expect(await (await wrapped.fetch(new Request(URL), { name: 'you' }, new Context())).text()).toBe('Hello you true')
    expect(await wrapped.queue()).toBe(true)
    expect(given.fetch).toBe(Handlers.prototype.fetch)
  })

  test('a function', () => {
    const handler = Object.assign(async (_context: { waitUntil(promise: Promise<unknown>): void }) => currentInvocation(), { config: 1 })
    const wrapped = withThaw(handler)
    expectTypeOf(wrapped).toEqualTypeOf<typeof handler>()
    expect({ config: wrapped.config, name: wrapped.name, length: wrapped.length }).toEqual({ config: 1, name: '', length: 1 })
  })

  test('a class: its methods, inherited ones too, run in one invocation, on the same object', async () => {
    class Base {
      readonly ctx = new Context()

      inherited() {
        return currentInvocation()?.id
      }
    }
    class Api extends Base {
      readonly #secret = 7

      async both() {
        return { secret: this.#secret, ids: [currentInvocation()?.id, this.inherited()] }
      }
    }
    const Wrapped = withThaw(Api)
    expectTypeOf(Wrapped).toEqualTypeOf<typeof Api>()
    const api = new Wrapped()
    expect({ name: Wrapped.name, isApi: api instanceof Api, own: Object.getOwnPropertyNames(Wrapped.prototype).sort() }).toEqual({
      name: 'Api',
      isApi: true,
      own: ['both', 'constructor', 'inherited'],
    })
    const { secret, ids } = await api.both()
    expect({ secret, first: typeof ids[0] }).toEqual({ secret: 7, first: 'string' })
    expect(api.inherited()).not.toBe(ids[0])
  })

  test('an error', async () => {
    const wrapped = withThaw({
      fetch() {
        throw new RangeError('no')
      },
    })
    expect(() => wrapped.fetch()).toThrow(RangeError)
  })
})

describe('the end of an invocation', () => {
  test('is when the handler has ended, if no client is in use', async () => {
    const { told, give } = joinPool()
    give()
    const response = new Response('body')
    const wrapped = withThaw({ fetch: async (_request: Request, _env: object, _ctx: Context) => response })
    expect(await wrapped.fetch(new Request(URL), {}, new Context())).toBe(response)
    expect(told).toEqual(['begin', 'finish'])
  })

  test('is when the body has been read, where it holds one', async () => {
    const { told, give } = joinPool()
    const leaks: unknown[] = []
    const body = new ReadableStream(
      {
        pull(controller) {
          give()
          controller.enqueue(new TextEncoder().encode('row'))
          controller.close()
        },
      },
      { highWaterMark: 0 },
    )
    const init = { status: 201, headers: { 'x-rows': '1' } }
    const wrapped = withThaw({ fetch: async () => new Response(body, init) }, { onLeak: (leak) => leaks.push(leak) })
    const response = await wrapped.fetch()
    expect({ status: response.status, rows: response.headers.get('x-rows'), told }).toEqual({ status: 201, rows: '1', told: ['begin'] })
    expect(await response.text()).toBe('row')
    await expect.poll(() => told).toEqual(['begin', 'finish'])
    expect(leaks).toEqual([])
  })

  test('is when what was handed to waitUntil has settled, and then a client that is still out is a leak', async () => {
    const { told } = joinPool()
    const leaks: unknown[] = []
    let work = () => {}
    const ctx = new Context()
    const handler = {
      async fetch(_request: Request, _env: object, context: Context) {
        context.waitUntil(new Promise<void>((resolve) => (work = resolve)))
        return new Response()
      },
    }
    const wrapped = withThaw(handler, { onLeak: (leak) => leaks.push(leak) })
    await wrapped.fetch(new Request(URL), {}, ctx)
    expect({ told, leaks }).toEqual({ told: ['begin'], leaks: [] })
    work()
    await ctx.settled()
    expect({ told, leaks }).toEqual({ told: ['begin', 'finish'], leaks: [LEAK] })
  })

  test('is no earlier because the handler has failed', async () => {
    const { told } = joinPool()
    let work = () => {}
    const ctx = new Context()
    const wrapped = withThaw({
      async fetch(_request: Request, _env: object, context: Context) {
        context.waitUntil(new Promise<void>((resolve) => (work = resolve)))
        throw new RangeError('no')
      },
    })
    await expect(wrapped.fetch(new Request(URL), {}, ctx)).rejects.toThrow(RangeError)
    expect(told).toEqual(['begin'])
    work()
    await ctx.settled()
    expect(told).toEqual(['begin', 'finish'])
  })

  test('is when what such a task has handed to waitUntil in its turn has settled', async () => {
    const { told } = joinPool()
    let work = () => {}
    const ctx = new Context()
    const wrapped = withThaw({
      async fetch(_request: Request, _env: object, context: Context) {
        const task = async () => {
          await new Promise(setImmediate)
          context.waitUntil(new Promise<void>((resolve) => (work = resolve)))
        }
        context.waitUntil(task())
      },
    })
    await wrapped.fetch(new Request(URL), {}, ctx)
    for (let turn = 0; turn < 5; turn++) await new Promise(setImmediate)
    expect(told).toEqual(['begin'])
    work()
    await ctx.settled()
    expect(told).toEqual(['begin', 'finish'])
  })

  test('is the same in a Durable Object, which has one context for all of its requests', async () => {
    const { told } = joinPool()
    const works: (() => void)[] = []
    class Counter {
      readonly ctx = Object.assign(new Context(), { storage: {} })

      count() {
        this.ctx.waitUntil(new Promise<void>((resolve) => works.push(resolve)))
      }
    }
    const object = new (withThaw(Counter))()
    const { ctx } = object
    object.count()
    const { waitUntil } = ctx
    object.count()
    expect({ told, isChangedOnce: ctx.waitUntil === waitUntil }).toEqual({ told: ['begin', 'begin'], isChangedOnce: true })
    works[1]?.()
    await expect.poll(() => told).toEqual(['begin', 'begin', 'finish'])
    works[0]?.()
    await expect.poll(() => told).toEqual(['begin', 'begin', 'finish', 'finish'])
  })
})

test('the signal of an invocation follows that of the request', async () => {
  const controller = new AbortController()
  const wrapped = withThaw({
    async fetch(_request: Request) {
      const signal = currentInvocation()?.signal
      controller.abort(new Error('gone'))
      return signal?.reason
    },
  })
  expect(await wrapped.fetch(new Request(URL, { signal: controller.signal }))).toEqual(new Error('gone'))
})

test.for<[what: string, wrap: () => unknown]>([
  ['nothing', () => withThaw(undefined as never)],
  ['an object without a handler', () => withThaw({ get: () => new Response() } as never)],
  // @ts-expect-error a slip of the pen
  ['an option that is not there', () => withThaw({ fetch: () => new Response() }, { onLeek: () => {} })],
])('%s is refused, with what to write', ([, wrap]) => {
  expect(wrap).toThrow(OptionError)
})
