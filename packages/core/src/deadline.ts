/** A bounded wait that does not lie after a thaw. */

import type { Clock } from './clock.ts'
import { sweep } from './sweep.ts'

/** A running deadline. */
export interface Deadline {
  /** What was waited for has come: the deadline will not expire any more. */
  cancel(): void
}

/**
 * Calls `expire` once `millis` have passed, unless cancelled.
 *
 * After a freeze an expired timer runs before data that arrived meanwhile (44 of 44 runs with SIGSTOP and the cgroup
 * freezer). So the timer alone accuses nobody: the loop is swept first, and whoever cancels in those turns, because the
 * bytes were there all along, is believed.
 *
 * @param expire is told by how many milliseconds the timer was late, by the monotonic clock.
 * @param background the deadline alone does not keep the process alive. Default false.
 */
export function startDeadline(clock: Clock, millis: number, expire: (lateMillis: number) => void, background = false): Deadline {
  const due = clock.mono() + millis
  let open = true
  const timer = clock.setTimer(
    () => {
      const lateMillis = Math.max(0, clock.mono() - due)
      sweep(clock, () => {
        if (!open) return
        open = false
        expire(lateMillis)
      })
    },
    millis,
    background,
  )
  return {
    cancel() {
      if (!open) return
      open = false
      clock.clearTimer(timer)
    },
  }
}
