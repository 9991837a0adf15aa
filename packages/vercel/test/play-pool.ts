import { type TrackedPool, trackPool } from '@thaw/core'
import { afterEach } from 'vitest'

export const LEAK = { acquiredAt: '    at handler (app.ts:3:9)' }

/** Platforms know a pool for as long as it lives. */
const alive = new Set<TrackedPool>()

/** What the pools of this file's test were told. */
export const told: string[] = []
let leaveAll = () => {}
afterEach(() => {
  leaveAll()
  told.length = 0
})

/**
 * A pool of which the invocation holds a client, until `give` is called. Writes into {@link told} what it is told, and leaves when the test is over.
 *
 * @param isHolding whether it does from the start. Default false.
 */
export function joinPool(isHolding = false): { readonly give: () => void } {
  let isHeld = isHolding
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
  alive.add(member)
  const leave = trackPool(member)
  leaveAll = () => {
    leave()
    alive.delete(member)
  }
  return {
    give: () => {
      isHeld = false
    },
  }
}
