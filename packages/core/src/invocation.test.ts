import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, test, vi } from 'vitest'
import {
  bindInvocation,
  currentInvocation,
  enterInvocation,
  type Invocation,
  joinPlatforms,
  memberOf,
  type PoolMember,
  poolMembers,
  runInvocation,
  watchPools,
} from './invocation.ts'

const create = () => new AsyncLocalStorage<Invocation>()

function invocation(id: string): Invocation {
  return { id, deadlineAt: Number.POSITIVE_INFINITY, signal: new AbortController().signal }
}

function member(): PoolMember {
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
    const leave = joinPlatforms(pool)
    expect(memberOf(pool.pool)).toBe(pool)
    expect(memberOf({})).toBeUndefined()
    leave()
  })

  test('are known until they leave', () => {
    const pool = member()
    const leave = joinPlatforms(pool)
    expect(poolMembers()).toContain(pool)
    leave()
    expect(poolMembers()).not.toContain(pool)
  })

  test('are told of when they are used for the first time, and those that had been at once', () => {
    const [early, late] = [member(), member()]
    const leaveEarly = joinPlatforms(early)
    const told: PoolMember[] = []
    watchPools((pool) => told.push(pool))
    expect(told).toEqual([early])
    const leaveLate = joinPlatforms(late)
    expect(told).toEqual([early, late])
    leaveEarly()
    leaveLate()
  })

  test('are known where there is no WeakRef, as on Workers of 2024', () => {
    vi.stubGlobal('WeakRef', undefined)
    try {
      const pool = member()
      const leave = joinPlatforms(pool)
      expect(poolMembers()).toContain(pool)
      leave()
    } finally {
      vi.unstubAllGlobals()
    }
  })

  test('are shared by two copies of the package', async () => {
    const pool = member()
    const leave = joinPlatforms(pool)
    vi.resetModules()
    const copy = await import('./invocation.ts')
    expect(copy.poolMembers).not.toBe(poolMembers)
    expect(copy.poolMembers()).toContain(pool)
    leave()
  })
})
