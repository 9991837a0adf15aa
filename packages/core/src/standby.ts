/** A standby answers where the primary was. How soon is it worth looking the host up anew, once more? */

import { elapsedMillis, type Reading } from './clock.ts'

/** A failover moves a name within seconds. */
const LOOK_UP_AGAIN_MILLIS = 1000
/** Nor does a pool of a replica, to which somebody writes by mistake, have to be renewed more often. */
const LONGEST_LOOK_UP_MILLIS = 300_000

/** A standby was found, and looking the host up anew has not led to the primary since. */
export interface StandbyFound {
  readonly at: Reading
  /** Before that it is not looked up again. */
  readonly pauseMillis: number
}

/** May the host be looked up anew, because of a write that was refused? */
export function mayLookUpAgain(last: StandbyFound | undefined, now: Reading): boolean {
  return !last || elapsedMillis(last.at, now) >= last.pauseMillis
}

/** A standby was found, again perhaps. Each time in a row the pause doubles; one that was found long ago was another story. */
export function foundStandby(last: StandbyFound | undefined, now: Reading): StandbyFound {
  const isInARow = last && elapsedMillis(last.at, now) < 2 * LONGEST_LOOK_UP_MILLIS
  const pauseMillis = isInARow ? Math.min(LONGEST_LOOK_UP_MILLIS, last.pauseMillis * 2) : LOOK_UP_AGAIN_MILLIS
  return { at: now, pauseMillis }
}
