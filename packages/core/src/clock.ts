/**
 * The only file of Thaw that reads time or randomness. Rules elsewhere are functions over the values read here, so that a test can stop,
 * jump or replay time.
 */

import { timeBehindFakes } from './behind-fakes.ts'
import { unmaskedNow, unmaskedRandom } from './unmasked.ts'

/** A point in time, on both clocks at once. */
export interface Reading {
  /** Milliseconds since the epoch. May step either way when the system clock is set. */
  readonly wall: number
  /** Milliseconds on a clock that never runs backwards, and may stand still while the process is frozen. */
  readonly mono: number
}

/** A running timer. Opaque: pass it back to the clock that made it. */
export type Timer = unknown

/** Time and randomness, as Thaw uses them. Inject your own with the `clock` option to test a freeze without waiting for one. */
export interface Clock {
  /** Milliseconds since the epoch (`Date.now`). */
  wall(): number
  /** Monotonic milliseconds (`performance.now`). */
  mono(): number
  /** Calls back once after `millis`. Keeps the process alive until then, unless it runs in the background. */
  setTimer(callback: () => void, millis: number, background?: boolean): Timer
  /** Stops it. Does nothing if it has already run or been stopped. */
  clearTimer(timer: Timer): void
  /** A number in [0, 1). */
  random(): number
  /** Calls back after one turn of the event loop (`setImmediate`). Absent if the runtime has none. */
  turn?(callback: () => void): void
}

interface Globals {
  readonly process?: Parameters<typeof timeBehindFakes>[0]['process'] | undefined
  readonly Date: { now: () => number }
  readonly Math: { random: () => number }
  readonly performance?: { now(): number }
  setTimeout(callback: () => void, millis: number): { unref?(): void }
  clearTimeout(timer: Timer): void
  readonly setImmediate?: (callback: () => void) => unknown
}

/** The longest possible timer, 24 days: a timer has 32 bits, and Node turns anything longer into 1 ms. */
const LONGEST_TIMER_MILLIS = 2 ** 31 - 1

const globals = globalThis as unknown as Globals
const { now } = globals.Date
const { random: chance } = globals.Math
const { performance } = globals
const monotonic = performance?.now.bind(performance) as () => number

/**
 * The runtime's own functions, captured when this module is loaded. A test's fake timers (`vi.useFakeTimers()`, Jest, Sinon) replace the
 * globals later, or have replaced them before: they are meant for the code under test, and would stop a pool that talks to a real server.
 */
export const runtimeTime: {
  readonly wall: () => number
  readonly mono: () => number
  readonly setTimeout: Globals['setTimeout']
  readonly clearTimeout: Globals['clearTimeout']
  readonly setImmediate: Globals['setImmediate']
  readonly random: () => number
} = {
  wall: once(() => unmaskedNow(now)),
  // Unlike the others, it must be called as a method. If the runtime has none, loading this module must not fail.
  mono: monotonic,
  setTimeout: globals.setTimeout,
  clearTimeout: globals.clearTimeout,
  setImmediate: globals.setImmediate,
  random: once(() => unmaskedRandom(chance)),
  ...timeBehindFakes(globals),
}

/** The globals may already have been masked when this module was loaded. What is behind the mask is looked up on first use. */
function once(find: () => () => number): () => number {
  let found: (() => number) | undefined
  return () => {
    found ??= find()
    return found()
  }
}

// Called without a receiver: browsers and workerd refuse timers that are called on a foreign object.
const { wall, mono, setTimeout, clearTimeout, setImmediate, random } = runtimeTime

/** The clocks of the current runtime. */
export const systemClock: Clock = {
  wall,
  mono: () => mono(),
  setTimer(callback, millis, background) {
    const timer = setTimeout(callback, Math.min(millis, LONGEST_TIMER_MILLIS))
    if (background) timer.unref?.()
    return timer
  },
  clearTimer: (timer) => clearTimeout(timer),
  random,
  ...(setImmediate ? { turn: (callback: () => void) => turn(setImmediate, callback) } : {}),
}

/** In Edge routes Next.js has a `setImmediate` that throws when it is called: there is none, and no turn of the event loop to be waited for. */
function turn(setImmediate: (callback: () => void) => unknown, callback: () => void): void {
  try {
    setImmediate(callback)
  } catch {
    callback()
  }
}

/** Reads both clocks: about 0.15 µs in Node. */
export function read(clock: Clock): Reading {
  return { wall: clock.wall(), mono: clock.mono() }
}

/**
 * Milliseconds between two readings: the larger of the two clocks' values.
 *
 * Either clock alone can miss a freeze: the monotonic one stands still in a suspended laptop and, by many reports, on Lambda; the wall
 * clock stands still in a paused guest until it is stepped. The larger value errs towards "old", which costs a probe; the smaller one would
 * hand out dead connections.
 */
export function elapsedMillis(since: Reading, now: Reading): number {
  return Math.max(now.wall - since.wall, now.mono - since.mono)
}
