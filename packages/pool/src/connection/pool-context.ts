/**
 * The pool's context: what it has learned, apart from its connections, and how it learns of invocations. On Workers this outlives every
 * connection.
 */

import { BUDGET_TOKENS, createEvents, type Events, type RetryBudget, type TrackedPool, trackPool } from '@thaw/core'
import { createBroadcast } from './broadcast.ts'
import { ScramKeys } from './scram-keys.ts'

export interface Memory {
  /** The pool that the user holds. */
  pool?: object
  /** Who listens, and what was counted. */
  readonly events: Events
  /** How much may still be retried. */
  budget: RetryBudget
  /** What its logins computed. */
  readonly scramKeys: ScramKeys
  /** Is PostgreSQL itself at the other end, or a pooler, which makes up the PIDs that it reports? Undefined: not detected yet. */
  isDirect?: boolean | undefined
  /** The table of keys is there, for batches. Undefined: not known yet. */
  hasKeyTable?: boolean | undefined
  /** It refuses rows: until then, on the monotonic clock, batches go without. */
  ownKeysRestUntil?: number | undefined
}

/** Another server may be at the other end now. */
export function forgetServer(memory: Memory): void {
  memory.isDirect = undefined
}

/** The table of keys takes rows. */
export function noteKeyTable(memory: Memory): void {
  memory.hasKeyTable = true
  memory.ownKeysRestUntil = undefined
}

export interface PoolContext {
  readonly memory: Memory
  /** Makes the pool known to platforms, once it is used. Returns the function that ends that. */
  join(member: TrackedPool): () => void
}

export function createMemory(): Memory {
  const events = createEvents(createBroadcast(() => memory.pool))
  const memory: Memory = { events, budget: BUDGET_TOKENS, scramKeys: new ScramKeys() }
  return memory
}

/** For a pool with which everything ends. */
export function createPoolContext(): PoolContext {
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
