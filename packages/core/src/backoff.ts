/** How long to wait before the next connection attempt. */

/** The first ceiling: short, because most refusals after a thaw are over within milliseconds. */
export const BACKOFF_BASE_MILLIS = 10
/** The last ceiling: a database that is starting up is reached within a second of being ready. */
export const BACKOFF_CAP_MILLIS = 1000

/**
 * Full jitter: a random wait between zero and a ceiling that doubles with each attempt ("Exponential Backoff And Jitter", AWS Architecture
 * Blog, 2015). The ceiling never exceeds a fifth of the caller's total wait, so that a short wait still allows several attempts, and a
 * fleet that thaws at once does not connect in step. It is a share of the total rather than of what is left (as in sqlx): towards the end
 * of a wait the pauses would shrink to nothing, and under constant load there is always a caller whose wait is ending.
 *
 * @param attempt 0 for the wait after the first failure.
 * @param withinMillis how long the caller waits in total. Infinity if there is no limit.
 * @param random a number in [0, 1).
 */
export function backoffMillis(attempt: number, withinMillis: number, random: number): number {
  const ceiling = Math.min(BACKOFF_CAP_MILLIS, withinMillis / 5, BACKOFF_BASE_MILLIS * 2 ** attempt)
  return Math.max(0, ceiling) * random
}
