/**
 * Was the process frozen between two readings? A grade of evidence, never a certainty of the opposite: some freezes move
 * all clocks, some stop one, some stop both.
 */

import type { Reading } from './clock.ts'

/**
 * - `none`: nothing speaks for a freeze.
 * - `possible`: time passed unobserved, or a new invocation began.
 * - `certain`: the clocks disagree, an outside clock disagrees, or a long gap lies between two invocations.
 */
export type FreezeEvidence = 'none' | 'possible' | 'certain'

/** What the platform can add to our own two clocks. */
export interface FreezeHints {
  /** A new invocation began between the two readings. Default: false. */
  readonly newInvocation?: boolean
  /** Milliseconds since the epoch by somebody else's clock, read now: Lambda's deadline header, an HTTP `Date`. */
  readonly outsideWall?: number
}

/** How far wall and monotonic time may drift apart before it counts. Above NTP slewing (0.5 ms/s) for gaps up to eight minutes. */
export const DRIFT_MILLIS = 250
/** A gap that is worth looking at: longer than the garbage collector and a slow request usually make. */
export const GAP_MILLIS = 250
/** A gap that, across an invocation boundary, no healthy runtime shows. */
export const LONG_GAP_MILLIS = 1000
/** A timer later than this was held up by more than a busy event loop. */
export const LATE_MILLIS: number = GAP_MILLIS
/** How far the local clock may lie behind an outside one. Wider than DRIFT_MILLIS: headers have whole seconds and travel time. */
export const OUTSIDE_DRIFT_MILLIS = 2000

/** Weighs two readings of the clocks. A gap alone never counts as certain: an idle server is no frozen one. */
export function weighFreeze(before: Reading, now: Reading, hints: FreezeHints = {}): FreezeEvidence {
  const wallGap = now.wall - before.wall
  const monoGap = now.mono - before.mono
  const gap = Math.max(wallGap, monoGap)
  if (Math.abs(wallGap - monoGap) > DRIFT_MILLIS) return 'certain'
  if (hints.outsideWall !== undefined && hints.outsideWall - now.wall > OUTSIDE_DRIFT_MILLIS) return 'certain'
  if (hints.newInvocation && gap > LONG_GAP_MILLIS) return 'certain'
  return hints.newInvocation || gap > GAP_MILLIS ? 'possible' : 'none'
}
