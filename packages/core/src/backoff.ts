/** How long to wait before dialling again. */

/** The first ceiling: short, because most refusals after a thaw are over in milliseconds. */
export const BACKOFF_BASE_MILLIS = 10
/** The last ceiling: a database that is starting up is found within a second of being ready. */
export const BACKOFF_CAP_MILLIS = 1000

/**
 * Full jitter: a random wait between nothing and a ceiling that doubles with each attempt ("Exponential Backoff And
 * Jitter", AWS Architecture Blog, 2015). The ceiling never exceeds a fifth of the caller's whole wait, so that a short one
 * still gets several attempts, and a fleet that thaws at once does not dial in step. Not of what is left of it (as sqlx has it): as that
 * runs out the pauses would shrink to nothing, and where callers come all the time somebody's always does.
 *
 * @param attempt 0 for the wait after the first failure.
 * @param withinMillis how long the caller waits in all. Infinity where there is no end.
 * @param random a number in [0, 1).
 */
export function backoffMillis(attempt: number, withinMillis: number, random: number): number {
  const ceiling = Math.min(BACKOFF_CAP_MILLIS, withinMillis / 5, BACKOFF_BASE_MILLIS * 2 ** attempt)
  return Math.max(0, ceiling) * random
}
