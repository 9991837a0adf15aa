/** A standby answers where the primary used to be. How soon is it worth looking up the host again? */

import { elapsedMillis, type Reading } from './clock.ts'

/** A failover moves a name within seconds. */
const LOOK_UP_AGAIN_MILLIS = 1000
/** The longest pause: a pool for a replica, to which writes are sent by mistake, need not be renewed more often. */
const LONGEST_LOOK_UP_MILLIS = 300_000

/** A standby was found, and looking up the host again has not led to the primary since. */
export interface StandbyFound {
  readonly at: Reading
  /** The host is not looked up again before this moment. */
  readonly pauseMillis: number
}

/** May the host be looked up again, because a write was refused? */
export function mayLookUpAgain(last: StandbyFound | undefined, now: Reading): boolean {
  return !last || elapsedMillis(last.at, now) >= last.pauseMillis
}

/** A standby was found, perhaps again. The pause doubles each time in a row; one that was found long ago does not count. */
export function foundStandby(last: StandbyFound | undefined, now: Reading): StandbyFound {
  const isInARow = last && elapsedMillis(last.at, now) < 2 * LONGEST_LOOK_UP_MILLIS
  const pauseMillis = isInARow ? Math.min(LONGEST_LOOK_UP_MILLIS, last.pauseMillis * 2) : LOOK_UP_AGAIN_MILLIS
  return { at: now, pauseMillis }
}
