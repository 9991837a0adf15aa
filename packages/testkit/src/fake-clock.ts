import type { Clock } from '@thaw/core'
import { createSeededRandom } from './seeded-random.ts'

/** Which clocks a freeze stops. */
export type StoppedClocks = 'none' | 'mono' | 'wall' | 'both'

/** How to make a fake clock. */
export interface FakeClockOptions {
  /** Seed of `random()`: equal seeds give equal numbers. Default: 1. */
  readonly seed?: number
  /** What `wall()` starts at, in milliseconds since the epoch. Default: the start of the year 2026. `mono()` always starts at 1000, so that the two are never mixed up unseen. */
  readonly startMillis?: number
  /**
   * What `turn` does: `real` turns of the event loop, so that sockets and promises go on; `manual`, run by `runTurn()`; or `absent`, as in
   * a runtime that has none. Default: `real`.
   */
  readonly turns?: 'real' | 'manual' | 'absent'
}

/** How a freeze behaves. */
export interface FreezeOptions {
  /**
   * Which clocks stand still meanwhile. `none`: SIGSTOP, a frozen cgroup. `both`: a paused virtual machine. `mono`: a suspended
   * laptop, and Lambda by many reports. `wall`: a virtual machine whose clock was never stepped. Default: `none`.
   */
  readonly stops?: StoppedClocks
  /** Whether timers that are overdue at the thaw fire at once, before anything else runs, or with the next `advance`. Default: true. */
  readonly fires?: boolean
}

/** A clock that moves only when told to. */
export interface FakeClock extends Clock {
  /** Moves both clocks, and fires the timers that fall due on the way, each at its own time, in order. */
  advance(millis: number): void
  /** The same, but lets promises and the event loop settle before, between and after the timers. */
  advanceAsync(millis: number): Promise<void>
  /**
   * Moves the clocks as a freeze does: no timer fires on the way; those that are overdue at its end fire late, once, in order, and
   * all of them see the clock of the thaw. Timers follow the monotonic clock: if it stands still, none is overdue.
   */
  freeze(millis: number, options?: FreezeOptions): void
  /** Sets the wall clock forward, or back by a negative number. */
  stepWall(millis: number): void
  /** Runs the callbacks that asked for the next turn, with `turns: 'manual'`. Those that they ask for wait for the turn after. */
  runTurn(): void
  /** How many timers wait. */
  readonly pendingTimers: number
  /** Milliseconds until the next timer is due. Infinity: none waits. */
  readonly nextTimerMillis: number
}

interface FakeTimer {
  readonly dueMillis: number
  readonly callback: () => void
}

const YEAR_2026_MILLIS = Date.UTC(2026, 0, 1)
const MONO_START_MILLIS = 1_000
// As in Node. It also keeps a timer that sets itself again from stopping time.
const SHORTEST_TIMER_MILLIS = 1

/** Makes a clock that only the test moves, to inject with the `clock` option. Never reads the machine's time or randomness. */
export function createFakeClock({ seed = 1, startMillis = YEAR_2026_MILLIS, turns = 'real' }: FakeClockOptions = {}): FakeClock {
  const now = { wall: startMillis, mono: MONO_START_MILLIS }
  const timers = new Set<FakeTimer>()
  let turnQueue: (() => void)[] = []

  const arrive = (untilMillis: number): void => {
    // A callback may have moved the clock further than we were asked to.
    const ahead = Math.max(0, untilMillis - now.mono)
    now.wall += ahead
    now.mono += ahead
  }
  const fireNext = (untilMillis: number): boolean => {
    const next = earliest(timers, untilMillis)
    if (!next) return false
    timers.delete(next)
    arrive(next.dueMillis)
    next.callback()
    return true
  }
  const turn = (callback: () => void): void => {
    if (turns === 'real') setImmediate(callback)
    else turnQueue.push(callback)
  }
  return {
    wall: () => now.wall,
    mono: () => now.mono,
    random: createSeededRandom(seed),
    setTimer(callback, millis) {
      const timer: FakeTimer = { dueMillis: now.mono + Math.max(SHORTEST_TIMER_MILLIS, millis), callback }
      timers.add(timer)
      return timer
    },
    // Opaque to the caller, but only we make them.
    clearTimer: (timer) => void timers.delete(timer as FakeTimer),
    ...(turns === 'absent' ? {} : { turn }),
    advance(millis) {
      const until = now.mono + millis
      while (fireNext(until));
      arrive(until)
    },
    async advanceAsync(millis) {
      const until = now.mono + millis
      do await settle()
      while (fireNext(until))
      arrive(until)
      await settle()
    },
    freeze(millis, { stops = 'none', fires = true } = {}) {
      if (stops === 'none' || stops === 'mono') now.wall += millis
      if (stops === 'none' || stops === 'wall') now.mono += millis
      // Only what was overdue at the thaw: a timer that is set by one of these callbacks has its whole wait ahead.
      while (fires && fireNext(now.mono));
    },
    stepWall(millis) {
      now.wall += millis
    },
    runTurn() {
      const callbacks = turnQueue
      turnQueue = []
      for (const callback of callbacks) callback()
    },
    get pendingTimers() {
      return timers.size
    },
    get nextTimerMillis() {
      const next = earliest(timers, Number.POSITIVE_INFINITY)
      return next ? Math.max(0, next.dueMillis - now.mono) : Number.POSITIVE_INFINITY
    },
  }
}

// Timers that fall due at the same time fire in the order in which they were set, which is the order of the set.
function earliest(timers: Iterable<FakeTimer>, untilMillis: number): FakeTimer | undefined {
  let found: FakeTimer | undefined
  for (const timer of timers) {
    if (timer.dueMillis <= untilMillis && (!found || timer.dueMillis < found.dueMillis)) found = timer
  }
  return found
}

// Chains of promises take any number of microtasks, all of which run within one turn; three turns let sockets deliver as well.
async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve))
}
