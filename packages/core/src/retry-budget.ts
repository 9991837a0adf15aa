/**
 * How many retries the pool may still ask of its server. A token bucket that successes fill and retries drain, so that a database in
 * trouble does not receive everything twice (a small version of Finagle's RetryBudget).
 */

/** Tokens at the start, and the most there can be: a burst of ten retries after a thaw is normal. */
export const BUDGET_TOKENS = 10
/** What a success earns: in the long run, one retry for every five statements (Finagle's default, 20 %). */
export const BUDGET_PER_SUCCESS = 0.2

/** A number of tokens. */
export type RetryBudget = number

/** The budget after one success. */
export function earn(budget: RetryBudget): RetryBudget {
  return Math.min(BUDGET_TOKENS, budget + BUDGET_PER_SUCCESS)
}

/** The budget after one retry, or undefined if it does not allow one. */
export function spend(budget: RetryBudget): RetryBudget | undefined {
  return budget >= 1 ? budget - 1 : undefined
}
