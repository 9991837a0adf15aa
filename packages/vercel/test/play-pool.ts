import { joinPlatforms, type PoolMember } from '@thaw/core'

export const LEAK = { acquiredAt: '    at handler (app.ts:3:9)' }

/** Platforms know a pool for as long as it lives. */
const alive = new Set<PoolMember>()

/**
 * A pool of which the invocation holds a client, until `give` is called. Writes into `told` what it is told.
 *
 * @param isHolding whether it does from the start. Default false.
 */
export function playPool(told: string[], isHolding = false): { readonly give: () => void; readonly leave: () => void } {
  let isHeld = isHolding
  const member: PoolMember = {
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
  const leave = joinPlatforms(member)
  return {
    give: () => {
      isHeld = false
    },
    leave: () => {
      leave()
      alive.delete(member)
    },
  }
}
