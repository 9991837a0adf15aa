/**
 * How many repeats the pool may still ask of its server. A token bucket that successes fill and repeats drain, so that a
 * database in trouble is never asked twice for everything (Finagle's RetryBudget, in the small).
 */

/** Tokens at the start, and the most there can be: a burst of ten repeats after a thaw is ordinary. */
export const BUDGET_TOKENS = 10
/** What a success earns: in the long run one repeat for every five statements (Finagle's default, 20 %). */
export const BUDGET_PER_SUCCESS = 0.2

/** A number of tokens. */
export type RetryBudget = number

/** The budget after one success. */
export function earn(budget: RetryBudget): RetryBudget {
  return Math.min(BUDGET_TOKENS, budget + BUDGET_PER_SUCCESS)
}

/** The budget after one repeat, or undefined where it does not allow one. */
export function spend(budget: RetryBudget): RetryBudget | undefined {
  return budget >= 1 ? budget - 1 : undefined
}
