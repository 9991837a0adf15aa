import { AsyncLocalStorage } from 'node:async_hooks'
import { afterAll, afterEach, describe, expect, test, vi } from 'vitest'
import { createFakeClock } from '../test/fake-clock.ts'
import { DeadlineError } from './errors.ts'
import { type Invocation, type Leak, runInvocation, type TrackedPool, trackPool } from './invocation.ts'
import { endWithAnswer, openRequest, type RequestInvocation, type RequestParts } from './request.ts'

const LEAK = { acquiredAt: '    at handler (app.ts:3:9)' }
const clock = createFakeClock()
const told: string[] = []

let isHeld = false
const member: TrackedPool = {
  pool: {},
  begin: (_, { newInvocation }) => void told.push(newInvocation ? 'begin' : 'begin beside others'),
  holds: () => isHeld,
  finish: () => {
    told.push('finish')
    return isHeld ? [LEAK] : []
  },
  closeIdle: async () => {},
}
const leave = trackPool(member)
// Platforms know a pool for as long as it lives: nothing else here would save this one from the garbage collector.
const alive = new Set([member])
afterAll(() => {
  leave()
  alive.clear()
})
afterEach(() => {
  told.length = 0
  isHeld = false
})

function open(parts: Partial<RequestParts> = {}): RequestInvocation {
  return openRequest({ id: 'a', marginMillis: 200, clock, ended: (leaks) => void told.push(`ended ${leaks.length}`), ...parts })
}

describe('an invocation that answers a request', () => {
  test('ends with the last of its parts, once, and the instance is held until then', async () => {
    const held: Promise<unknown>[] = []
    const invocation = open({ waitUntil: (promise) => void held.push(promise) })
    const [first, second] = [invocation.part(), invocation.part()]
    first()
    first()
    expect(told).toEqual(['begin'])
    second()
    invocation.part()()
    expect(told).toEqual(['begin', 'finish', 'ended 0'])
    expect(held).toHaveLength(1)
    await held[0]
  })

  test('lets the instance go, even if the callback for the end throws', async () => {
    const held: Promise<unknown>[] = []
    const ended = () => {
      throw new RangeError('no')
    }
    const done = open({ waitUntil: (promise) => void held.push(promise), ended }).part()
    expect(done).toThrow(RangeError)
    await held[0]
  })

  test('says whether others are running', () => {
    const [first, second] = [open().part(), open().part()]
    first()
    second()
    open().part()()
    expect(told.filter((word) => word.startsWith('begin'))).toEqual(['begin', 'begin beside others', 'begin'])
  })

  test('is the same one inside as outside, with a deadline that ends with it', () => {
    const invocation = open({ endsAt: clock.wall() + 1_000 })
    const done = invocation.part()
    const storage = () => new AsyncLocalStorage<Invocation>()
    runInvocation(invocation, storage, () => expect(invocation.deadlineAt).toBe(clock.wall() + 800))
    done()
    expect(invocation.deadlineAt).toBe(Number.POSITIVE_INFINITY)
  })

  test('is over when the platform has ended it, whatever is left to do', () => {
    isHeld = true
    const leaks: Leak[] = []
    const invocation = open({ endsAt: clock.wall() + 1_000, ended: (left) => void leaks.push(...left) })
    const done = invocation.part()
    clock.advance(801)
    expect(invocation.signal.reason).toBeInstanceOf(DeadlineError)
    expect(leaks).toEqual([])
    clock.advance(200)
    expect(leaks).toEqual([LEAK])
    done()
    expect(told).toEqual(['begin', 'finish'])
  })
})

describe('what a handler answers', () => {
  const answer = <Result>(result: Result, request?: Request) => {
    const done = vi.fn()
    return { result: endWithAnswer({ result, request, invocation: open(), clock, done }), done }
  }

  test.each([7, new Response(null), undefined])('%o at once is the end', (value) => {
    const { result, done } = answer(value)
    expect(result).toBe(value)
    expect(done).toHaveBeenCalledOnce()
  })

  test('to HEAD is the end, because its body is not read', async () => {
    const { done } = answer(new Response('body'), new Request('https://shop.example', { method: 'HEAD' }))
    await expect.poll(() => done).toHaveBeenCalledOnce()
  })

  test('later, or fails, is the end then', async () => {
    for (const promise of [Promise.resolve(7), Promise.reject(new RangeError('no'))]) {
      const { result, done } = answer(promise)
      expect(done).not.toHaveBeenCalled()
      await result.catch((error: Error) => expect(error).toBeInstanceOf(RangeError))
      expect(done).toHaveBeenCalledOnce()
    }
  })

  test.each(['text', 'blob', 'arrayBuffer', 'json', 'reads', 'cancels'] as const)('and %s, is the end after that', async (how) => {
    isHeld = true
    const { result, done } = answer(Response.json({ a: 1 }))
    expect(done).not.toHaveBeenCalled()
    if (how === 'cancels') await result.body?.cancel()
    else if (how === 'reads') expect(await new Response(result.body).json()).toEqual({ a: 1 })
    else expect(await result[how]()).toBeDefined()
    await vi.waitFor(() => {
      clock.advance(0)
      expect(done).toHaveBeenCalledOnce()
    })
  })
})
