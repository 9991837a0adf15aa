import { AsyncLocalStorage } from 'node:async_hooks'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { currentInvocation, OptionError } from '@thaw/core'
import { describe, expect, expectTypeOf, test, vi } from 'vitest'
import { joinPool, told } from '../test/play-pool.ts'
import { serveContexts } from '../test/serve-contexts.ts'
import type { RequestContext } from './context.ts'
import { withThaw } from './with-thaw.ts'

const contexts = serveContexts(new AsyncLocalStorage<RequestContext>())
const request = () => new Request('https://instance.vercel.app/')

describe('what comes out is like what went in', () => {
  test('a function', () => {
    const key = Symbol('key')
    const handler = Object.assign(
      async function GET(this: unknown, _request: Request, _context: { id: number }) {
        return new Response(String(this))
      },
      { config: { maxDuration: 5 }, [key]: 1 },
    )
    const wrapped = withThaw(handler)
    expect(wrapped).not.toBe(handler)
    expect({ name: wrapped.name, length: wrapped.length, config: wrapped.config, key: wrapped[key] }).toEqual({
      name: 'GET',
      length: 2,
      config: { maxDuration: 5 },
      key: 1,
    })
    expectTypeOf(wrapped).toEqualTypeOf<typeof handler>()
  })

  test('a function that is still being built, as an Express app is', async () => {
    const app = Object.assign(async (_request: unknown, _response: unknown, _next: unknown) => new Response(app.route), { route: '' })
    const wrapped = withThaw(app)
    wrapped.route = 'added later'
    expect(await (await wrapped(1, 2, 3)).text()).toBe('added later')
    expect(wrapped).toHaveLength(3)
  })

  test('types', () => {
    expectTypeOf(withThaw((_: IncomingMessage, response: ServerResponse) => response.end())).toEqualTypeOf<
      (_: IncomingMessage, response: ServerResponse) => ServerResponse
    >()
    expectTypeOf(withThaw({ fetch: (_: Request) => new Response(), port: 1 })).toEqualTypeOf<{
      fetch: (_: Request) => Response
      port: number
    }>()
    const refused = () => {
      // @ts-expect-error no handler
      withThaw(new Response())
      // @ts-expect-error no handler
      withThaw({ GET: () => new Response() })
      // @ts-expect-error a slip of the pen
      withThaw(() => new Response(), { deadlineMarginMilis: 1 })
    }
    expect(refused).toThrow(OptionError)
  })

  test('an object with fetch, private members included', async () => {
    class App {
      readonly base = '/api'
      #greeting = 'hello'
      async fetch(_request: Request) {
        return new Response(`${this.#greeting} ${this.base} ${currentInvocation() !== undefined}`)
      }
    }
    const app = new App()
    const wrapped = withThaw(app)
    expect([wrapped instanceof App, wrapped.base, wrapped.fetch.name]).toEqual([true, '/api', 'fetch'])
    expect(await (await wrapped.fetch(request())).text()).toBe('hello /api true')
    expect(Object.hasOwn(app, 'fetch')).toBe(false)
  })

  test('this is kept', async () => {
    const routes = {
      name: 'routes',
      GET: withThaw(async function (this: { name: string }) {
        return new Response(this.name)
      }),
    }
    expect(await (await routes.GET()).text()).toBe('routes')
  })
})

test.each([[undefined], [null], ['handler'], [{}], [{ GET: () => {} }], [new Response()]])('%o is no handler', (given) => {
  expect(() => withThaw(given as never)).toThrow(expect.objectContaining({ kind: 'option', option: 'handler' }))
})

test.each([[{ deadlineMarginMillis: -1 }], [{ deadlineMarginMillis: 'soon' }], [{ margin: 5 }], [{ onLeak: true }]])(
  '%o are no options',
  (options) => {
    expect(() => withThaw(() => new Response(), options as never)).toThrow(expect.objectContaining({ kind: 'option' }))
  },
)

describe('an invocation of a web handler', () => {
  test('has the id and the deadline of the request, and holds the instance until it has ended', async () => {
    joinPool()
    const held: Promise<unknown>[] = []
    const endsAt = Date.now() + 100_000
    const context: RequestContext = {
      deadline: new Date(endsAt).toISOString(),
      headers: { 'x-vercel-id': 'iad1::abc' },
      waitUntil: (promise) => void held.push(promise),
    }
    const handler = withThaw(
      async () => {
        const { id, deadlineAt } = currentInvocation() ?? {}
        return Response.json({ id, deadlineAt })
      },
      { deadlineMarginMillis: 1_000 },
    )
    const response = await contexts.run(context, handler)
    expect(await response.json()).toEqual({ id: 'iad1::abc', deadlineAt: endsAt - 1_000 })
    expect(told).toEqual(['begin', 'finish'])
    await Promise.all(held)
    expect(held).toHaveLength(1)
  })

  test('knows whether others are running', async () => {
    joinPool()
    let open = () => {}
    const handler = withThaw(async (isFirst: boolean) => {
      if (isFirst)
        await new Promise<void>((resolve) => {
          open = resolve
        })
      return new Response()
    })
    const first = handler(true)
    await handler(false)
    open()
    await first
    await handler(false)
    expect(told.filter((word) => word !== 'finish')).toEqual(['begin', 'begin beside others', 'begin'])
  })

  test.each([
    [
      'throws',
      () => {
        throw new RangeError('no')
      },
    ],
    ['rejects', () => Promise.reject(new RangeError('no'))],
  ])('that %s has ended', async (_, work) => {
    joinPool()
    await expect((async () => withThaw(work)())()).rejects.toThrow(RangeError)
    expect(told).toEqual(['begin', 'finish'])
  })

  test('may be wrapped twice', async () => {
    joinPool()
    const held: Promise<unknown>[] = []
    const handler = withThaw(withThaw(async () => new Response(null)))
    await contexts.run({ waitUntil: (promise) => void held.push(promise) }, handler)
    await Promise.all(held)
    expect(told).toEqual(['begin', 'begin beside others', 'finish', 'finish'])
  })

  test('is told when its time is up, and is over when Vercel has ended it', async () => {
    joinPool(true)
    const onLeak = vi.fn()
    const context: RequestContext = { deadline: new Date(Date.now() + 60).toISOString() }
    const handler = withThaw(
      async () => {
        const { signal } = currentInvocation() ?? {}
        if (signal) await once(signal, 'abort')
        told.push(String((signal?.reason as Error | undefined)?.name))
        await new Promise(() => {})
      },
      { deadlineMarginMillis: 30, onLeak },
    )
    void contexts.run(context, handler)
    await expect.poll(() => onLeak).toHaveBeenCalled()
    expect(told).toEqual(['begin', 'DeadlineError', 'finish'])
  })

  test('whose client hung up is over when Vercel has ended it, if it does not end by itself', async () => {
    joinPool(true)
    const onLeak = vi.fn()
    const caller = new AbortController()
    const context: RequestContext = { deadline: new Date(Date.now() + 60).toISOString() }
    const handler = withThaw((_: Request) => new Promise(() => {}), { deadlineMarginMillis: 30, onLeak })
    void contexts.run(context, () => handler(new Request('https://instance.vercel.app/', { signal: caller.signal })))
    caller.abort()
    await expect.poll(() => onLeak).toHaveBeenCalled()
  })

  test('is answered as it was, even if the listener for its leak throws', async () => {
    joinPool(true)
    const onLeak = () => {
      throw new Error('no')
    }
    expect((await withThaw(async () => new Response(null, { status: 204 }), { onLeak })()).status).toBe(204)
  })

  test('warns of a leak on the console, once for each place', async () => {
    joinPool(true)
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {})
    const handler = withThaw(async () => new Response(null))
    await handler()
    await handler()
    expect(warn).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('app.ts:3:9'))
    warn.mockRestore()
  })
})

describe('an invocation of a node handler', () => {
  /** Serves one request, and returns what was answered. */
  async function serve(handler: (request: IncomingMessage, response: ServerResponse) => unknown): Promise<string> {
    const server = createServer(handler).listen(0, '127.0.0.1')
    await once(server, 'listening')
    try {
      return await (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)).text()
    } finally {
      server.close()
      await once(server, 'close')
    }
  }

  test('ends when the response has been sent, though the handler returned long before', async () => {
    joinPool()
    const handler = withThaw((_: IncomingMessage, response: ServerResponse) => {
      setTimeout(() => {
        told.push('answer')
        response.end('late')
      }, 20)
    })
    expect(await serve(handler)).toBe('late')
    await expect.poll(() => told).toEqual(['begin', 'answer', 'finish'])
  })

  test('goes on until the handler has ended, though the response has been sent', async () => {
    const pool = joinPool(true)
    const onLeak = vi.fn()
    const handler = withThaw(
      async (_: IncomingMessage, response: ServerResponse) => {
        response.end('early')
        await new Promise((resolve) => setTimeout(resolve, 30))
        pool.give()
      },
      { onLeak },
    )
    expect(await serve(handler)).toBe('early')
    await expect.poll(() => told).toEqual(['begin', 'finish'])
    expect(onLeak).not.toHaveBeenCalled()
  })

  test('that is awaited: what it returned is begun once, and passed on', async () => {
    joinPool()
    let begun = 0
    const handler = withThaw((_: IncomingMessage, response: ServerResponse) => {
      response.end('answered')
      // biome-ignore lint/suspicious/noThenProperty: as query builders are made.
      return { then: (resolve: (value: number) => void) => resolve(++begun) }
    })
    const returned: unknown[] = []
    await serve(async (incoming, outgoing) => returned.push(await handler(incoming, outgoing)))
    await expect.poll(() => told).toEqual(['begin', 'finish'])
    expect([begun, returned]).toEqual([1, [1]])
  })

  test('ends when the handler throws after it has answered', async () => {
    joinPool()
    const handler = withThaw(async (_: IncomingMessage, response: ServerResponse) => {
      response.end('answered')
      throw new Error('too late')
    })
    const errors: Error[] = []
    expect(await serve((incoming, outgoing) => handler(incoming, outgoing).catch((error: Error) => errors.push(error)))).toBe('answered')
    await expect.poll(() => told).toEqual(['begin', 'finish'])
    expect(errors.map(({ message }) => message)).toEqual(['too late'])
  })
})
