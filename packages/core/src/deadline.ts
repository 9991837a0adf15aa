/** A bounded wait that does not lie after a thaw, and does not count the time for which the process was frozen. */

import type { Clock } from './clock.ts'
import { pollSockets } from './poll-sockets.ts'

/** A running deadline. */
export interface Deadline {
  /** What was waited for has arrived: the deadline can no longer expire. */
  cancel(): void
}

/** While something is waited for, the clock is read at least this often: nothing else can tell a freeze from a wait. */
export const LOOK_MILLIS = 250
/** The most time between two looks in a running process, unless its event loop is blocked. */
const ASLEEP_MILLIS = 500

/**
 * How much the time between two looks costs a wait that has `leftMillis` left. A freeze counts as one look, because it is unknown during
 * which part of it the process still ran; and it never uses up all that is left, because what was waited for had no chance to arrive.
 */
function chargedMillis(gapMillis: number, leftMillis: number): number {
  return gapMillis > ASLEEP_MILLIS ? Math.min(LOOK_MILLIS, Math.max(0, leftMillis) / 2) : gapMillis
}

/** When a wait began, moved later by what of the time since `lookedAt`, the last look, is not charged to it. */
export function chargedSince(since: number, lookedAt: number, now: number, limitMillis: number): number {
  const from = Math.max(lookedAt, since)
  const gapMillis = now - from
  return since + gapMillis - chargedMillis(gapMillis, since + limitMillis - from)
}

/**
 * Calls `expire` once the process has run for `millis`, unless cancelled. The time for which it was frozen is not counted, see
 * `chargedMillis`: neither side of the wait had any of it.
 *
 * After a freeze, an expired timer runs before data that arrived meanwhile (44 of 44 runs with SIGSTOP and the cgroup freezer). So a timer
 * alone proves nothing: the sockets are polled first, and a cancellation during those turns counts, because the bytes had been there all
 * along.
 *
 * @param expire receives how many milliseconds late it is, by the monotonic clock: how long the process was frozen or busy.
 * @param background the deadline alone does not keep the process alive. Default false.
 */
export function startDeadline(clock: Clock, millis: number, expire: (lateMillis: number) => void, background = false): Deadline {
  return start(clock, millis, expire, background, LOOK_MILLIS)
}

/** The same for a moment that others have set, such as the platform: it comes whether or not the process runs. */
export function startAbsoluteDeadline(clock: Clock, millis: number, expire: (lateMillis: number) => void, background = false): Deadline {
  return start(clock, millis, expire, background, Number.POSITIVE_INFINITY)
}

function start(clock: Clock, millis: number, expire: (lateMillis: number) => void, background: boolean, longestMillis: number): Deadline {
  const isAbsolute = longestMillis === Number.POSITIVE_INFINITY
  let lookedAt = clock.mono()
  const due = lookedAt + millis
  let left = millis
  let open = true
  const look = () => {
    const now = clock.mono()
    // If the clock does not advance at all, as in a Worker, the timer is all there is.
    left -= isAbsolute || now === lookedAt ? Math.min(left, longestMillis) : chargedMillis(now - lookedAt, left)
    lookedAt = now
    if (left > 0) {
      timer = clock.setTimer(look, Math.min(left, longestMillis), background)
      return
    }
    pollSockets(clock, () => {
      if (!open) return
      open = false
      expire(Math.max(0, now - due))
    })
  }
  let timer = clock.setTimer(look, Math.min(left, longestMillis), background)
  return {
    cancel() {
      if (!open) return
      open = false
      clock.clearTimer(timer)
    },
  }
}
