import { PassThrough } from 'node:stream'
import { setImmediate as turn } from 'node:timers/promises'
import { type ThawError, type TrackedPool, trackPool } from '@thaw/core'
import type { APIGatewayProxyEventV2, APIGatewayProxyHandlerV2, Callback, Context, Handler, SQSHandler, StreamifyHandler } from 'aws-lambda'
import { afterEach, describe, expect, expectTypeOf, test, vi } from 'vitest'
import { DeadlineError, invocation, type LambdaContext, withThaw } from './index.ts'

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming')
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark')

/** As the runtime's own: it only sets symbols. */
function streamifyResponse<Streaming extends (...values: never[]) => unknown>(handler: Streaming): Streaming {
  return Object.assign(handler, { [STREAMING]: 'response', [HIGH_WATER_MARK]: 1024 })
}

function contextOf(id: string, remainingMillis = 3000): Context {
  const deadlineAt = Date.now() + remainingMillis
  return { awsRequestId: id, getRemainingTimeInMillis: () => deadlineAt - Date.now() } as Context
}

let leave = () => {}
afterEach(() => leave())

function join(parts: Partial<TrackedPool>): void {
  leave = trackPool(Object.assign(memberKeptAlive, { begin() {}, finish: () => [], ...parts }))
}
const memberKeptAlive: TrackedPool = { pool: {}, begin() {}, holds: () => false, finish: () => [], closeIdle: async () => {} }

describe('a handler that is wrapped', () => {
  test('shows two arguments, its name and what else it has', () => {
    async function createOrder(_event: unknown) {}
    const wrapped = withThaw(Object.assign(createOrder, { tag: 'mine' }))
    expect(wrapped).toHaveLength(2)
    expect(wrapped.name).toBe('createOrder')
    expect(wrapped.tag).toBe('mine')
  })

  test('gets what it was called with, and this, and gives what it returned', async () => {
    const service = {
      prefix: 'order',
      handler: withThaw(async function (this: { prefix: string }, event: number, context: Context) {
        return `${this.prefix} ${event} ${context.awsRequestId}`
      }),
    }
    expect(await service.handler(7, contextOf('a'))).toBe('order 7 a')
  })

  test('knows its invocation: id, deadline and signal, whatever else is running', async () => {
    const handler = withThaw(async (_event: unknown, _context: Context) => {
      await turn()
      return invocation()
    })
    const [one, other] = await Promise.all([handler({}, contextOf('a', 300_000)), handler({}, contextOf('b', 600_000))])
    expect([one?.id, other?.id]).toEqual(['a', 'b'])
    expect([one?.signal.aborted, other?.signal.aborted]).toEqual([false, false])
    expect(invocation()).toBeUndefined()
  })

  test('is told by the signal when its time is up, before Lambda ends it', async () => {
    const handler = withThaw(
      async (_event: unknown, _context: Context) => {
        const { signal, deadlineAt } = invocation() ?? expect.unreachable()
        const left = deadlineAt - Date.now()
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        return { left, reason: signal.reason as unknown }
      },
      { deadlineMarginMillis: 900 },
    )
    const { left, reason } = await handler({}, contextOf('a', 1000))
    expect(left).toBeLessThanOrEqual(100)
    expect(reason).toBeInstanceOf(DeadlineError)
  })

  test('works without a context, as people call it in their tests', async () => {
    const handler = withThaw(async (event: number) => event)
    expect(await handler(1)).toBe(1)
    expect(await handler.call(undefined, 2)).toBe(2)
  })
})

describe('a streaming handler', () => {
  const stream = async (_event: unknown, response: PassThrough, _context: Context) => void response.end('done')

  test('keeps both symbols and three arguments', () => {
    const wrapped = withThaw(streamifyResponse(stream.bind(null) as typeof stream))
    expect(wrapped).toHaveLength(3)
    expect(Object.getOwnPropertyDescriptors(wrapped)).toMatchObject({
      [STREAMING]: { value: 'response' },
      [HIGH_WATER_MARK]: { value: 1024 },
    })
  })

  test('is inside its invocation until the stream has ended, though it has returned', async () => {
    const told: string[] = []
    join({ finish: () => (told.push('finished') ? [] : []) })
    let feed = () => {}
    const handler = withThaw(
      streamifyResponse(async (_event: unknown, response: PassThrough, _context: Context) => {
        feed = () => void response.end('rest')
        response.write('first')
        told.push('returned')
      }),
    )
    const response = new PassThrough()
    response.resume()
    const settled = handler({}, response, contextOf('a')).then(() => told.push('settled'))
    await turn()
    expect(told).toEqual(['returned'])
    feed()
    await settled
    expect(told).toEqual(['returned', 'finished', 'settled'])
  })

  test('that never ends its stream is held to the deadline', async () => {
    const handler = withThaw(
      streamifyResponse(async (_event: unknown, _response: PassThrough, _context: Context) => {}),
      { deadlineMarginMillis: 0 },
    )
    await handler({}, new PassThrough(), contextOf('a', 50))
  })

  test('that fails, fails', async () => {
    const handler = withThaw(
      streamifyResponse((_event: unknown, _response: PassThrough, _context: Context) => Promise.reject(new Error('no'))),
    )
    await expect(handler({}, new PassThrough(), contextOf('a'))).rejects.toThrow('no')
  })
})

describe('pools', () => {
  test('hear when an invocation begins, and that our clock has fallen behind Lambda’s', async () => {
    const begin = vi.fn()
    join({ begin })
    const handler = withThaw(async (_event: unknown, _context: Context) => {})
    await handler({}, contextOf('a', 3000))
    await handler({}, contextOf('b', 63_000))
    expect(begin.mock.calls[1]?.[1]).toEqual({ newInvocation: true, outsideWall: expect.closeTo(Date.now() + 60_000, -4) })
    await handler({}, contextOf('c', 63_000))
    expect(begin.mock.calls[2]?.[1].outsideWall ?? 0).toBeLessThan(Date.now() + 1000)
  })

  const LEAK = { acquiredAt: '    at handler (app.ts:1:1)' }

  test('that report a leak are heard, once for each place', async () => {
    join({ finish: () => [LEAK] })
    const warn = vi.spyOn(console, 'warn').mockReturnValue()
    const handler = withThaw(async () => 'done')
    await handler()
    await handler()
    expect(warn).toHaveBeenCalledExactlyOnceWith(expect.stringContaining('app.ts:1:1'))
    warn.mockRestore()
  })

  test('that report a leak tell the user’s own function, which may fail', async () => {
    join({ finish: () => [LEAK] })
    const onLeak = vi.fn(() => {
      throw new Error('no')
    })
    expect(await withThaw(async () => 'done', { onLeak })()).toBe('done')
    expect(onLeak).toHaveBeenCalledExactlyOnceWith(LEAK)
  })
})

describe('what is refused', () => {
  const refused = (work: () => unknown): ThawError => {
    try {
      work()
    } catch (error) {
      return error as ThawError
    }
    return expect.unreachable()
  }

  test.each([
    [undefined, 'undefined'],
    [null, 'null'],
    [{ fetch() {} }, 'object'],
    ['app.handler', 'string'],
  ])('%o as a handler', (value, type) => {
    const error = refused(() => withThaw(value as unknown as () => void))
    expect(error).toMatchObject({ kind: 'option', option: 'handler' })
    expect(error.message).toContain(type)
  })

  test('a handler with a callback, and why', () => {
    const error = refused(() => withThaw((_event: unknown, _context: Context, done: Callback) => done()))
    expect(error).toMatchObject({ kind: 'option', option: 'handler' })
    expect(error.message).toContain('streamifyResponse')
  })

  test('a misspelt option, and a wrong one', () => {
    // @ts-expect-error: there is no such option.
    expect(refused(() => withThaw(async () => {}, { deadlineMarginMilis: 1 })).message).toContain('deadlineMarginMillis')
    expect(refused(() => withThaw(async () => {}, { deadlineMarginMillis: -1 })).message).toContain('0 or more')
  })
})

test('types stay as they are', () => {
  const plain = withThaw(async (event: APIGatewayProxyEventV2, context: Context) => `${event.rawPath} ${context.functionName}`)
  expectTypeOf(plain).toEqualTypeOf<(event: APIGatewayProxyEventV2, context: Context) => Promise<string>>()

  const http: APIGatewayProxyHandlerV2 = withThaw(async (event, context) => ({
    statusCode: 200,
    body: `${event.rawPath} ${context.logGroupName}`,
  }))
  expectTypeOf(withThaw(http)).toEqualTypeOf<APIGatewayProxyHandlerV2>()
  const queue: SQSHandler = withThaw(async (event) => void event.Records.length)
  expectTypeOf(withThaw(queue)).toEqualTypeOf<SQSHandler>()
  expectTypeOf(withThaw((() => {}) as Handler<string, number>)).toEqualTypeOf<Handler<string, number>>()

  const untyped = withThaw(async (_event, context) => context.awsRequestId)
  expectTypeOf(untyped).parameter(1).toEqualTypeOf<LambdaContext>()
  expectTypeOf<Context>().toExtend<LambdaContext>()

  const streaming = streamifyResponse((() => {}) as unknown as StreamifyHandler<string>)
  expectTypeOf(withThaw(streaming)).toEqualTypeOf<StreamifyHandler<string>>()
})

test('a handler that is called late in an invocation, for the second time, is no sign of a freeze before the next', async () => {
  const begin = vi.fn()
  join({ begin })
  const handler = withThaw(async (_event: unknown, _context: Context) => {})
  await handler({}, contextOf('a', 10_000))
  await handler({}, contextOf('a', 1_000))
  await handler({}, contextOf('b', 10_000))
  expect(begin.mock.lastCall?.[1].outsideWall ?? 0).toBeLessThan(Date.now() + 1_000)
})
