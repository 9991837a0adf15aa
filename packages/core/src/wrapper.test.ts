import { AsyncLocalStorage } from 'node:async_hooks'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createFakeClock } from '../test/fake-clock.ts'
import { DeadlineError } from './errors.ts'
import { currentInvocation, type Invocation, type TrackedPool, trackPool } from './invocation.ts'
import { beginInvocation, createInvocation, createLeakReport, endInvocation, preserveHandler, serveInvocation } from './wrapper.ts'

const createStorage = () => new AsyncLocalStorage<Invocation>()
const LEAK = { acquiredAt: '    at handler (app.ts:3:9)' }

/** Platforms know a pool for as long as it lives: nothing else here saves one from the garbage collector. */
const alive = new Set<TrackedPool>()
let leave = () => {}
afterEach(() => {
  leave()
  alive.clear()
})

function join(parts: Partial<TrackedPool> = {}): TrackedPool {
  const member: TrackedPool = {
    pool: {},
    begin: vi.fn(),
    holds: () => false,
    finish: vi.fn(() => []),
    closeIdle: async () => {},
    ...parts,
  }
  alive.add(member)
  leave = trackPool(member)
  return member
}

describe('the deadline', () => {
  test('is the platform’s less the margin, and aborts the signal with its reason', () => {
    const clock = createFakeClock()
    const invocation = createInvocation({ id: 'a', endsAt: clock.wall() + 3000, marginMillis: 200, clock })
    expect(invocation.deadlineAt).toBe(clock.wall() + 2800)
    clock.advance(2799)
    expect(invocation.signal.aborted).toBe(false)
    clock.advance(2)
    expect(invocation.signal.reason).toBeInstanceOf(DeadlineError)
    expect(invocation.signal.reason).toMatchObject({ kind: 'deadline', retryable: true, waitedMillis: expect.closeTo(2800, -1) })
  })

  test.each([undefined, Number.NaN, Number.POSITIVE_INFINITY])('that is %s bounds nothing and costs no timer', (endsAt) => {
    const clock = createFakeClock()
    const invocation = createInvocation({ id: 'a', endsAt, marginMillis: 200, clock })
    expect(invocation.deadlineAt).toBe(Number.POSITIVE_INFINITY)
    expect(clock.timers()).toBe(0)
  })

  test('that is nearer than the margin has come', () => {
    const clock = createFakeClock()
    const invocation = createInvocation({ id: 'a', endsAt: clock.wall() + 100, marginMillis: 200, clock })
    clock.advance(1)
    expect(invocation.signal.aborted).toBe(true)
  })

  test('bounds nothing once the invocation has ended', () => {
    const clock = createFakeClock()
    const invocation = createInvocation({ id: 'a', endsAt: clock.wall() + 3000, marginMillis: 200, clock })
    invocation.close()
    clock.advance(10_000)
    expect({ deadlineAt: invocation.deadlineAt, aborted: invocation.signal.aborted, timers: clock.timers() }).toEqual({
      deadlineAt: Number.POSITIVE_INFINITY,
      aborted: false,
      timers: 0,
    })
  })
})

describe('a caller who hangs up', () => {
  test.each(['before', 'after'])('%s the invocation was made aborts it, with its reason', (when) => {
    const caller = new AbortController()
    const reason = new Error('gone')
    if (when === 'before') caller.abort(reason)
    const { signal } = createInvocation({ id: 'a', marginMillis: 0, clock: createFakeClock(), parentSignal: caller.signal })
    caller.abort(reason)
    expect(signal.reason).toBe(reason)
  })

  test('after it has ended is not listened to', () => {
    const caller = new AbortController()
    const invocation = createInvocation({ id: 'a', marginMillis: 0, clock: createFakeClock(), parentSignal: caller.signal })
    invocation.close()
    caller.abort()
    expect(invocation.signal.aborted).toBe(false)
  })
})

describe('pools', () => {
  test('hear of the begin with the hints, and of the end', () => {
    const pool = join({ finish: vi.fn(() => [LEAK]) })
    const invocation = createInvocation({ id: 'a', marginMillis: 0, clock: createFakeClock() })
    beginInvocation(invocation, { newInvocation: true })
    expect(pool.begin).toHaveBeenCalledExactlyOnceWith(invocation, { newInvocation: true })
    expect(endInvocation(invocation)).toEqual([LEAK])
    expect(pool.finish).toHaveBeenCalledExactlyOnceWith(invocation)
  })
})

describe('a handler that is served', () => {
  const serve = <Result>(work: () => Result) => {
    const told: string[] = []
    const pool = join({ begin: () => void told.push('begin'), finish: () => (told.push('finish') ? [LEAK] : []) })
    const invocation = createInvocation({ id: 'a', marginMillis: 0, clock: createFakeClock() })
    const ended = (leaks: readonly unknown[]) => void told.push(`ended ${leaks.length}`)
    const noted = () => {
      told.push('work')
      return work()
    }
    return { told, pool, run: () => serveInvocation({ invocation, createStorage, ended, work: noted }) }
  }
  const ORDER = ['begin', 'work', 'finish', 'ended 1']

  test('knows its invocation, and returns what it returned', async () => {
    const { run, told } = serve(async () => {
      await Promise.resolve()
      return currentInvocation()?.id
    })
    expect(await run()).toBe('a')
    expect(told).toEqual(ORDER)
  })

  test('may be synchronous', () => {
    const { run, told } = serve(() => 7)
    expect(run()).toBe(7)
    expect(told).toEqual(ORDER)
  })

  test.each([
    ['rejects', () => Promise.reject(new Error('no'))],
    [
      'throws',
      () => {
        throw new Error('no')
      },
    ],
  ])('and %s ends all the same', async (_, work) => {
    const { run, told } = serve<unknown>(work)
    await expect((async () => run())()).rejects.toThrow('no')
    expect(told).toEqual(ORDER)
  })
})

test('what stands in for a handler has its name, length, symbols and properties', () => {
  const streaming = Symbol.for('streaming')
  function original(this: unknown, _event: unknown, _context: unknown) {}
  Object.assign(original, { config: { path: '/' }, [streaming]: 'response' })
  const wrapped = preserveHandler(original, (..._all: unknown[]) => 1)
  expect({ ...wrapped, name: wrapped.name, length: wrapped.length }).toEqual({
    name: 'original',
    length: 2,
    config: { path: '/' },
    [streaming]: 'response',
  })
  expect(wrapped).not.toHaveProperty('prototype')
  expect(preserveHandler(original, () => 1, 3)).toHaveLength(3)
})

test('a leak is told once for each place', () => {
  const told: string[] = []
  const report = createLeakReport((message) => told.push(message))
  report([LEAK, LEAK])
  report([LEAK, { acquiredAt: '    at other (app.ts:9:1)' }])
  expect(told).toHaveLength(2)
  expect(told[0]).toContain('app.ts:3:9')
})

test('a leak is told to the user’s own function, each time, which may fail', () => {
  const onLeak = vi.fn(() => {
    throw new Error('no')
  })
  createLeakReport(() => expect.unreachable(), onLeak)([LEAK, LEAK])
  expect(onLeak.mock.calls).toEqual([[LEAK], [LEAK]])
  createLeakReport(
    () => {},
    async () => onLeak(),
  )([LEAK])
})
