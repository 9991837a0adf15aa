/**
 * A probe has been sent and no reply has come: after how long is a second connection attempt worth it, and how often? A hedge is an extra
 * connection, which costs a struggling server too.
 */

import { elapsedMillis, type Reading } from './clock.ts'
import { learnRoundTrip, type RoundTrip } from './round-trip.ts'

/** The floor and the ceiling of RFC 8305 (Happy Eyeballs), which races connections too: never below 10 ms, and 250 ms if nothing is known. */
export const LEAST_HEDGE_MILLIS = 10
export const MOST_HEDGE_MILLIS = 250
/** If no round trip has been measured: one across a continent. */
const ASSUMED_MILLIS = 50

/**
 * How long a reply may take before a connection attempt begins beside it: twice the usual round trip (TCP's tail loss probe), or the usual
 * one plus four times its variation (RFC 6298), whichever is longer. A server that replies as usual is never raced.
 */
export function hedgeDelayMillis(known: RoundTrip | undefined): number {
  const { smoothedMillis, variationMillis } = known ?? learnRoundTrip(undefined, ASSUMED_MILLIS)
  const unusual = Math.max(2 * smoothedMillis, smoothedMillis + 4 * variationMillis)
  return Math.min(MOST_HEDGE_MILLIS, Math.max(LEAST_HEDGE_MILLIS, unusual))
}

/**
 * What each needed connection attempt earns: extra ones are at most 10 % of them ("The Tail at Scale" hedges 5 %, Finagle's backup filter
 * as little).
 */
export const HEDGE_PER_DIAL = 0.1
/** The most that can be saved up: one pool of ordinary size, thawed with dead connections. */
export const MOST_HEDGES = 10
/** One is always allowed per this period; otherwise a pool that connects once a day could never hedge. */
export const FREE_HEDGE_MILLIS = 10_000

/** How many extra connection attempts a pool may still make. */
export interface HedgeBudget {
  readonly tokens: number
  /** When the last unearned one was made. Undefined: never. */
  readonly freeAt: Reading | undefined
}

/** A new pool's budget. */
export const HEDGE_BUDGET: HedgeBudget = { tokens: 0, freeAt: undefined }

/** The budget after a connection attempt that a caller needed. */
export function earnHedge(budget: HedgeBudget): HedgeBudget {
  return { ...budget, tokens: Math.min(MOST_HEDGES, budget.tokens + HEDGE_PER_DIAL) }
}

/** The budget after an extra attempt, or undefined if it does not allow one. */
export function spendHedge({ tokens, freeAt }: HedgeBudget, now: Reading): HedgeBudget | undefined {
  if (freeAt === undefined || elapsedMillis(freeAt, now) >= FREE_HEDGE_MILLIS) return { tokens, freeAt: now }
  return tokens >= 1 ? { tokens: tokens - 1, freeAt } : undefined
}
