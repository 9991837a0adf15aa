/**
 * Is the backend of a silent statement done with it? A rule over what the server tells of a backend, and what we know of our connection. Behind one
 * address there may be several servers, so a backend that is not found proves nothing: only one that is there, is ours, and is idle, does.
 */

import type { Reading } from '@thaw/core'

/** What the server tells, in ages: two machines' clocks differ. NaN: it does not tell. */
export interface Backend {
  readonly state: string
  readonly waitEvent: string
  /** The port of whoever is connected to it: ours, unless something is between. */
  readonly clientPort: number
  readonly ageSeconds: number
  /** Since when it is in that state. */
  readonly stateSeconds: number
  /** Since when it has its newest statement. */
  readonly querySeconds: number
}

/** Something happened between these two. */
export interface Span {
  readonly from: Reading
  readonly to: Reading
}

/** What we know. */
export interface Witness {
  readonly localPort: number | undefined
  /** From the beginning of the dial until the server was ready. */
  readonly born: Span
  /** When the server last said that it is ready. */
  readonly ready: Span
  /** When its last byte came. */
  readonly heard: Span
  /** When the statement was sent. */
  readonly sent: Span
}

/** How far two accounts of the same event may be apart: a network's delay, and a busy machine's. */
const TOLERANCE_MILLIS = 1000

/** @param asked from the moment in which the server was asked until it answered. */
export function isDone(backend: Backend, witness: Witness, asked: Span): boolean {
  const { state, waitEvent } = backend
  // One that waits for us to read or to write is not at work either: we have sent everything, and read everything that came.
  const isIdle = state.startsWith('idle')
  if (!isIdle && !(state === 'active' && (waitEvent === 'ClientRead' || waitEvent === 'ClientWrite'))) return false
  const fits = (seconds: number, span: Span) => fitsAge(seconds * 1000, span, asked)
  if (!fits(backend.ageSeconds, witness.born)) return false
  // Directly connected: nobody else has that port.
  if (backend.clientPort > 0 && backend.clientPort === witness.localPort) return true
  // Through a NAT, a balancer or a tunnel it must have lived as our connection has: fallen idle when we last heard of it, so that the statement
  // never arrived; or begun a statement when we sent ours.
  return (
    (isIdle && (fits(backend.stateSeconds, witness.ready) || fits(backend.stateSeconds, witness.heard))) ||
    fits(backend.querySeconds, witness.sent)
  )
}

/** By either clock: one may stand still in a freeze, the other may be set. */
function fitsAge(ageMillis: number, { from, to }: Span, asked: Span): boolean {
  return (['mono', 'wall'] as const).some((clock) => {
    const least = asked.from[clock] - to[clock] - TOLERANCE_MILLIS
    const most = asked.to[clock] - from[clock] + TOLERANCE_MILLIS
    return ageMillis >= least && ageMillis <= most
  })
}
