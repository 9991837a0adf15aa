import type { Clock } from '@thaw/core'
import type { StoppedClocks } from './fake-clock.ts'

/**
 * Real clocks that can be stopped and set, to be injected into a process that is really frozen: SIGSTOP stops neither clock, many
 * platforms stop one or both.
 */
export interface StoppableClock extends Clock {
  /** Stops clocks until {@link resume}. Call it just before the freeze. Replaces an earlier `stop`. Timers follow the monotonic clock. */
  stop(which?: Exclude<StoppedClocks, 'none'>): void
  /** Lets all clocks go on from where they stopped. Timers have exactly as long to go as when the monotonic clock stopped. */
  resume(): void
  /** Sets the wall clock forward, or back by a negative number: minutes of freeze in no time. */
  addWall(millis: number): void
  /** Sets the monotonic clock back, as if it had stood still for so long. Timers fire that much later. */
  subtractMono(millis: number): void
}

interface HeldTimer {
  readonly dueMillis: number
  readonly callback: () => void
  readonly isBackground: boolean
  real: NodeJS.Timeout | undefined
}

/** A real clock minus what was subtracted from it, and standing still since `stoppedAt`. */
interface Hand {
  read(): number
  stop(): void
  resume(): void
  add(millis: number): void
}

// setTimeout fires at once when it is told to wait longer. `run` then waits for the rest.
const LONGEST_TIMEOUT_MILLIS = 2 ** 31 - 1

/** Makes a clock that shows the real time until it is told otherwise. */
export function createStoppableClock(): StoppableClock {
  const wall = createHand(() => Date.now())
  const mono = createHand(() => performance.now())
  const timers = new Set<HeldTimer>()

  const arm = (timer: HeldTimer): void => {
    const run = (): void => {
      // The real timer counts the freeze; the clock that it was set by may not have.
      if (timer.dueMillis > mono.read()) {
        arm(timer)
        return
      }
      timers.delete(timer)
      timer.callback()
    }
    // Rounded up, because a real timer that fires a fraction early would be armed again for nothing.
    timer.real = setTimeout(run, Math.min(LONGEST_TIMEOUT_MILLIS, Math.ceil(timer.dueMillis - mono.read())))
    if (timer.isBackground) timer.real.unref()
  }
  const disarm = (timer: HeldTimer): void => clearTimeout(timer.real)
  const resume = (): void => {
    wall.resume()
    mono.resume()
    for (const timer of timers) disarm(timer)
    timers.forEach(arm)
  }
  return {
    wall: wall.read,
    mono: mono.read,
    random: () => Math.random(),
    turn: (callback) => void setImmediate(callback),
    setTimer(callback, millis, background = false) {
      const timer: HeldTimer = { dueMillis: mono.read() + millis, callback, isBackground: background, real: undefined }
      timers.add(timer)
      arm(timer)
      return timer
    },
    clearTimer(opaque) {
      const timer = opaque as HeldTimer | undefined
      if (!timer) return
      timers.delete(timer)
      disarm(timer)
    },
    stop(which = 'mono') {
      resume()
      if (which !== 'mono') wall.stop()
      if (which !== 'wall') mono.stop()
    },
    resume,
    addWall: wall.add,
    subtractMono: (millis) => mono.add(-millis),
  }
}

function createHand(real: () => number): Hand {
  let offset = 0
  let stoppedAt: number | undefined
  return {
    read: () => (stoppedAt ?? real()) + offset,
    stop() {
      stoppedAt ??= real()
    },
    resume() {
      if (stoppedAt !== undefined) offset -= real() - stoppedAt
      stoppedAt = undefined
    },
    add(millis) {
      offset += millis
    },
  }
}
