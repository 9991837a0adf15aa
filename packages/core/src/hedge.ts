/**
 * A question is out and no answer has come: after how long is it worth to dial, and how often may it be? A hedge is an extra connection,
 * which a server that is in trouble pays for as well.
 */

import { elapsedMillis, type Reading } from './clock.ts'
import { learnRoundTrip, type RoundTrip } from './round-trip.ts'

/** The floor and the ceiling of RFC 8305 (Happy Eyeballs), which races connections too: never below 10 ms, 250 ms where nothing is known. */
export const LEAST_HEDGE_MILLIS = 10
export const MOST_HEDGE_MILLIS = 250
/** Where no round trip has been seen: one across a continent. */
const ASSUMED_MILLIS = 50

/**
 * How long a question may be out before a dial begins beside it: twice the usual round trip (TCP's tail loss probe), or four times its
 * variation above it (RFC 6298), whichever is longer. A server that answers as usual is never raced.
 */
export function hedgeDelayMillis(known: RoundTrip | undefined): number {
  const { smoothedMillis, variationMillis } = known ?? learnRoundTrip(undefined, ASSUMED_MILLIS)
  const unusual = Math.max(2 * smoothedMillis, smoothedMillis + 4 * variationMillis)
  return Math.min(MOST_HEDGE_MILLIS, Math.max(LEAST_HEDGE_MILLIS, unusual))
}

/** What each needed dial earns: extra ones are at most 10 % of them ("The Tail at Scale" hedges 5 %, Finagle's backup filter as little). */
export const HEDGE_PER_DIAL = 0.1
/** The most that can be saved: a pool of ordinary size, thawed on dead connections. */
export const MOST_HEDGES = 10
/** One is always allowed in so long a time, or a pool that dials once a day could never hedge. */
export const FREE_HEDGE_MILLIS = 10_000

/** How many extra dials a pool may still make. */
export interface HedgeBudget {
  readonly tokens: number
  /** When the last one was made that nothing had earned. Undefined: none was. */
  readonly freeAt: Reading | undefined
}

/** A pool's first. */
export const HEDGE_BUDGET: HedgeBudget = { tokens: 0, freeAt: undefined }

/** The budget after a dial that somebody needed. */
export function earnHedge(budget: HedgeBudget): HedgeBudget {
  return { ...budget, tokens: Math.min(MOST_HEDGES, budget.tokens + HEDGE_PER_DIAL) }
}

/** The budget after an extra dial, or undefined where it allows none. */
export function spendHedge({ tokens, freeAt }: HedgeBudget, now: Reading): HedgeBudget | undefined {
  if (freeAt === undefined || elapsedMillis(freeAt, now) >= FREE_HEDGE_MILLIS) return { tokens, freeAt: now }
  return tokens >= 1 ? { tokens: tokens - 1, freeAt } : undefined
}
