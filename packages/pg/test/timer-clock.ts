/** A clock for tests on real connections that moves by its own timers, and by what is skipped: on a slow machine nothing falls silent by itself. */

import type { Clock } from '@thaw/core'

/** What the test believes to have passed beyond what its timers have waited for. */
export interface Skipped {
  wall: number
  mono: number
}

export interface TimerClock extends Clock {
  readonly skipped: Skipped
  /** Both clocks move on. */
  skip(millis: number): void
  /** To be called before each test. */
  reset(): void
}

export function createTimerClock(): TimerClock {
  const began = Date.now()
  // When the latest of the timers that have rung was due.
  let now = 0
  const skipped = { wall: 0, mono: 0 }
  return {
    skipped,
    skip(millis) {
      skipped.wall += millis
      skipped.mono += millis
    },
    reset: () => void Object.assign(skipped, { wall: 0, mono: 0 }),
    wall: () => began + now + skipped.wall,
    mono: () => now + skipped.mono,
    setTimer(callback, millis) {
      const due = now + millis
      return setTimeout(() => {
        now = Math.max(now, due)
        callback()
      }, millis)
    },
    clearTimer: (timer) => clearTimeout(timer as NodeJS.Timeout),
    random: () => 0.5,
    turn: (callback) => void setImmediate(callback),
  }
}
