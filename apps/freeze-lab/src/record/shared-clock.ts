/** One clock for all processes of a run, so that what the lab did and what an instance noticed can be put on one line. */

/**
 * Milliseconds on the monotonic clock of the machine: the same in every process, and never set. `performance.timeOrigin`
 * would not do: each process reads it from the wall clock, which may be set between two starts.
 */
export function sharedMillis(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** Takes a reading of `performance.now()` of this process to the shared clock. */
export function toShared(performanceMillis: number): number {
  return performanceMillis + sharedMillis() - performance.now()
}
