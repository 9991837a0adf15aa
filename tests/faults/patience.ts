/**
 * How long a caller of the ledger waits before it says that its call hangs. Counted in ticks, each of which counts as one however late it comes: a process that was frozen, or that gets a tenth of a busy machine,
 * has given its call as little time as it had itself. A call that never ends is found all the same.
 */

const TICK_MILLIS = 100

/** Resolves with `hangs` when so much time has passed. `isOver`: it is no longer of interest, and never resolves. */
export function patience(millis: number, isOver: () => boolean, tickMillis: number = TICK_MILLIS): Promise<'hangs'> {
  return new Promise((resolve) => {
    let left = Math.ceil(millis / tickMillis)
    const tick = () => {
      if (isOver()) return
      if (left-- <= 0) resolve('hangs')
      else setTimeout(tick, tickMillis).unref()
    }
    tick()
  })
}
