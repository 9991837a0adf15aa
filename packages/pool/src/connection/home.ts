/** What a pool lives in: what it has learnt, apart from its connections, and who tells it of invocations. On Workers that outlives every connection. */

import { BUDGET_TOKENS, createEvents, type Events, type RetryBudget, type TrackedPool, trackPool } from '@thaw/core'
import { createBroadcast } from './broadcast.ts'
import { ScramKeys } from './scram-keys.ts'

export interface Memory {
  /** The pool that the user holds. */
  pool?: object
  /** Who listens, and what was counted. */
  readonly events: Events
  /** What may still be sent again. */
  budget: RetryBudget
  /** What its logins computed. */
  readonly scramKeys: ScramKeys
  /** Is PostgreSQL itself at the other end, or a pooler, which invents the pids that it gives? Undefined: it has not been found out. */
  isDirect?: boolean
}

export interface Home {
  readonly memory: Memory
  /** Makes the pool known to whoever tells it of invocations, once it is used. Returns the function that ends that. */
  join(member: TrackedPool): () => void
}

export function createMemory(): Memory {
  const events = createEvents(createBroadcast(() => memory.pool))
  const memory: Memory = { events, budget: BUDGET_TOKENS, scramKeys: new ScramKeys() }
  return memory
}

/** For a pool with which everything ends. */
export function createHome(): Home {
  const memory = createMemory()
  return {
    memory,
    join(member) {
      const leave = trackPool(member)
      return () => {
        leave()
        memory.scramKeys.forget()
      }
    },
  }
}
