import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, test, vi } from 'vitest'
import {
  bindInvocation,
  currentInvocation,
  enterInvocation,
  type Invocation,
  runInvocation,
  type TrackedPool,
  trackedPoolOf,
  trackedPools,
  trackPool,
  watchPools,
} from './invocation.ts'

const create = () => new AsyncLocalStorage<Invocation>()

function invocation(id: string): Invocation {
  return { id, deadlineAt: Number.POSITIVE_INFINITY, signal: new AbortController().signal }
}

function member(): TrackedPool {
  return { pool: {}, begin() {}, holds: () => false, finish: () => [], closeIdle: async () => {} }
}

describe('an invocation', () => {
  test('is unknown outside of a wrapper', () => {
    expect(currentInvocation()).toBeUndefined()
  })

  test('is found by what it has started, and not by its neighbour', async () => {
    const seen = await Promise.all(
      ['a', 'b'].map((id) =>
        runInvocation(invocation(id), create, async () => {
          await Promise.resolve()
          return currentInvocation()?.id
        }),
      ),
    )
    expect(seen).toEqual(['a', 'b'])
  })
})

test('an invocation that is entered is found by what its caller does next', async () => {
  const seen = await createRequest(() => enterInvocation(invocation('entered'), create))
  expect(seen).toBe('entered')

  async function createRequest(middleware: () => void): Promise<string | undefined> {
    await Promise.resolve()
    middleware()
    await Promise.resolve()
    return currentInvocation()?.id
  }
})

test('a callback can be kept in its invocation, whatever calls it', () => {
  const ids: (string | undefined)[] = []
  const note = () => void ids.push(currentInvocation()?.id)
  const bound = runInvocation(invocation('a'), create, () => bindInvocation(note))
  const unbound = bindInvocation(note)
  runInvocation(invocation('b'), create, () => {
    bound()
    unbound()
    note()
  })
  expect(ids).toEqual(['a', undefined, 'b'])
})

describe('pools', () => {
  test('lead to their members', () => {
    const pool = member()
    const leave = trackPool(pool)
    expect(trackedPoolOf(pool.pool)).toBe(pool)
    expect(trackedPoolOf({})).toBeUndefined()
    leave()
  })

  test('are known until they leave', () => {
    const pool = member()
    const leave = trackPool(pool)
    expect(trackedPools()).toContain(pool)
    leave()
    expect(trackedPools()).not.toContain(pool)
  })

  test('are told of when they are used for the first time, and those that had been at once', () => {
    const [early, late] = [member(), member()]
    const leaveEarly = trackPool(early)
    const told: TrackedPool[] = []
    watchPools((pool) => told.push(pool))
    expect(told).toEqual([early])
    const leaveLate = trackPool(late)
    expect(told).toEqual([early, late])
    leaveEarly()
    leaveLate()
  })

  test('are known where there is no WeakRef, as on Workers of 2024', () => {
    vi.stubGlobal('WeakRef', undefined)
    try {
      const pool = member()
      const leave = trackPool(pool)
      expect(trackedPools()).toContain(pool)
      leave()
    } finally {
      vi.unstubAllGlobals()
    }
  })

  test('are shared by two copies of the package', async () => {
    const pool = member()
    const leave = trackPool(pool)
    vi.resetModules()
    const copy = await import('./invocation.ts')
    expect(copy.trackedPools).not.toBe(trackedPools)
    expect(copy.trackedPools()).toContain(pool)
    leave()
  })
})
