/** Time that a test moves by hand, with an event loop of Node's order: timers, then what the kernel has, then immediates. */

import type { Clock } from '../src/clock.ts'

/** Which clocks stand still while the process is frozen. */
export type Stopped = 'none' | 'mono' | 'wall' | 'both'

/** Where bytes wait until the loop fetches them. */
export interface Kernel {
  /** True time of the next arrival that the loop has to wake up for. Infinity: none. */
  nextArrival(): number
  /** Has something arrived that was not delivered yet? */
  pending(): boolean
  /** One poll phase: delivers what is due in this turn. */
  poll(): void
}

export interface FakeClock extends Clock {
  /** True time, which nothing can stop. */
  now(): number
  /** Lets time pass while the process runs: timers and arrivals happen when they are due. */
  advance(millis: number): void
  /** Lets time pass while the process stands still: nothing runs, and the clocks named stand still, too. */
  freeze(millis: number, stopped: Stopped): void
  /** An administrator, or NTP, sets the system clock. */
  stepWall(millis: number): void
  attach(kernel: Kernel): void
  /** Timers that have not fired. */
  timers(): number
  /** For how long the process has stood still, all freezes together. */
  frozenMillis(): number
}

interface FakeTimer {
  readonly due: number
  readonly callback: () => void
}

const MOST_TURNS = 10_000
const QUIET: Kernel = { nextArrival: () => Number.POSITIVE_INFINITY, pending: () => false, poll: () => {} }

/** @param turns false: a runtime without `setImmediate`. */
export function createFakeClock({ seed = 1, turns = true }: { seed?: number; turns?: boolean } = {}): FakeClock {
  let now = 0
  let wall = 1_800_000_000_000
  let mono = 1000
  let frozen = 0
  let state = seed >>> 0
  let kernel = QUIET
  const immediates: (() => void)[] = []
  const timers = new Set<FakeTimer>()

  const isDue = (timer: FakeTimer) => timer.due <= mono
  const isBusy = () => immediates.length > 0 || kernel.pending() || [...timers].some(isDue)

  function turn(): void {
    // A timer set by a timer waits for the next turn, as in libuv.
    for (const timer of [...timers].filter(isDue).sort((a, b) => a.due - b.due)) {
      if (timers.delete(timer)) timer.callback()
    }
    kernel.poll()
    for (const callback of immediates.splice(0)) callback()
  }

  function settle(): void {
    for (let count = 0; isBusy(); count++) {
      if (count > MOST_TURNS) throw new Error(`the loop does not come to rest at ${now} ms`)
      turn()
    }
  }

  function move(millis: number): void {
    now += millis
    wall += millis
    mono += millis
  }

  return {
    wall: () => wall,
    mono: () => mono,
    now: () => now,
    setTimer(callback, millis) {
      // Whole milliseconds, as in libuv: with fractions `now` could stop short of a timer for ever.
      const timer = { due: Math.ceil(mono + Math.max(1, millis)), callback }
      timers.add(timer)
      return timer
    },
    clearTimer: (timer) => void timers.delete(timer as FakeTimer),
    // Mulberry32.
    random() {
      state = (state + 0x6d2b79f5) >>> 0
      let mixed = Math.imul(state ^ (state >>> 15), state | 1)
      mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
      return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
    },
    ...(turns && { turn: (callback: () => void) => void immediates.push(callback) }),
    advance(millis) {
      const end = now + millis
      settle()
      while (now < end) {
        const nextTimer = now + Math.min(...[...timers].map(({ due }) => due - mono))
        move(Math.min(end, nextTimer, kernel.nextArrival()) - now)
        settle()
      }
    },
    freeze(millis, stopped) {
      now += millis
      frozen += millis
      if (stopped === 'none' || stopped === 'mono') wall += millis
      if (stopped === 'none' || stopped === 'wall') mono += millis
    },
    stepWall(millis) {
      wall += millis
    },
    attach(attached) {
      kernel = attached
    },
    timers: () => timers.size,
    frozenMillis: () => frozen,
  }
}
