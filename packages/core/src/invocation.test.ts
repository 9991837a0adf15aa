import { AsyncLocalStorage } from 'node:async_hooks'
import { describe, expect, test, vi } from 'vitest'
import { currentInvocation, type Invocation, joinPlatforms, type PoolMember, poolMembers, runInvocation } from './invocation.ts'

const create = () => new AsyncLocalStorage<Invocation>()

function invocation(id: string): Invocation {
  return { id, deadlineAt: Number.POSITIVE_INFINITY, signal: new AbortController().signal }
}

function member(): PoolMember {
  return { begin() {}, finish: () => [], closeIdle: async () => {} }
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

describe('pools', () => {
  test('are known until they leave', () => {
    const pool = member()
    const leave = joinPlatforms(pool)
    expect(poolMembers()).toContain(pool)
    leave()
    expect(poolMembers()).not.toContain(pool)
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
