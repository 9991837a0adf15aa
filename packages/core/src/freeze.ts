/**
 * Was the process frozen between two readings? The answer is a grade of evidence, never certainty that it was not: some freezes move all
 * clocks, some stop one, some stop both.
 */

import type { Reading } from './clock.ts'

/**
 * - `none`: nothing suggests a freeze.
 * - `possible`: time passed unobserved, or a new invocation began.
 * - `certain`: the clocks disagree, an outside clock disagrees, or a long gap lies between two invocations.
 */
export type FreezeEvidence = 'none' | 'possible' | 'certain'

/** What the platform can add to the process's two clocks. */
export interface FreezeHints {
  /** A new invocation began between the two readings. Default: false. */
  readonly newInvocation?: boolean
  /** Milliseconds since the epoch by an outside clock, read now: Lambda's deadline header, an HTTP `Date`. */
  readonly outsideWall?: number
}

/** How far wall and monotonic time may drift apart before it counts. More than NTP slewing (0.5 ms/s) causes in eight minutes. */
export const DRIFT_MILLIS = 250
/** A gap worth considering: longer than garbage collection and a slow request usually cause. */
export const GAP_MILLIS = 250
/** A gap that no healthy runtime shows between two invocations. */
export const LONG_GAP_MILLIS = 1000
/** A timer that is later than this was delayed by more than a busy event loop. */
export const LATE_MILLIS: number = GAP_MILLIS
/** How far the local clock may lag behind an outside one. Wider than DRIFT_MILLIS: headers have whole seconds and travel time. */
export const OUTSIDE_DRIFT_MILLIS = 2000

/** Weighs two readings of the clocks. A gap alone is never certain: an idle server is not a frozen one. */
export function weighFreeze(before: Reading, now: Reading, hints: FreezeHints = {}): FreezeEvidence {
  const wallGap = now.wall - before.wall
  const monoGap = now.mono - before.mono
  const gap = Math.max(wallGap, monoGap)
  if (Math.abs(wallGap - monoGap) > DRIFT_MILLIS) return 'certain'
  if (hints.outsideWall !== undefined && hints.outsideWall - now.wall > OUTSIDE_DRIFT_MILLIS) return 'certain'
  if (hints.newInvocation && gap > LONG_GAP_MILLIS) return 'certain'
  return hints.newInvocation || gap > GAP_MILLIS ? 'possible' : 'none'
}
