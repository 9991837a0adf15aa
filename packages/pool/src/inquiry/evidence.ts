/**
 * Has the backend finished with a silent statement? A rule over what the server says about a backend, and what we know of our connection.
 * There may be several servers behind one address, so a backend that is not found proves nothing, unless it is known which server it was on:
 * only one that is there, is ours, and is idle, does.
 */

import { hasReplaced, type Reading } from '@thaw/core'
import type { KnownBackend } from '../connection/known-backend.ts'

/** What the server reports, as ages: two machines' clocks differ. NaN: it does not report it. */
export interface Backend {
  readonly state: string
  readonly waitEvent: string
  /** The port of its client: ours, unless something is in between. */
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

export interface Witness {
  readonly localPort: number | undefined
  /** From the start of the connection attempt until the server was ready. */
  readonly born: Span
  /** When the server last said that it is ready. */
  readonly ready: Span
  readonly heard: Span
  readonly sent: Span
}

/** How far two accounts of the same event may differ: a network's delay, and a busy machine's. */
const TOLERANCE_MILLIS = 1000

/** Is it at work on nothing? One that waits for us to read or to write is not: we have sent everything, and read everything that came. */
export function isResting({ state, waitEvent }: Backend): boolean {
  return state.startsWith('idle') || (state === 'active' && (waitEvent === 'ClientRead' || waitEvent === 'ClientWrite'))
}

/** @param asked from the moment when the server was asked until it answered. */
export function isDone(backend: Backend, witness: Witness, asked: Span): boolean {
  if (!isResting(backend)) return false
  const isIdle = backend.state.startsWith('idle')
  const fits = (seconds: number, span: Span) => fitsAge(seconds * 1000, span, asked)
  if (!fits(backend.ageSeconds, witness.born)) return false
  // Directly connected: no other client has that port.
  if (backend.clientPort > 0 && backend.clientPort === witness.localPort) return true
  // Through a NAT, a load balancer or a tunnel, its timing must match our connection's: it became idle when we last heard from it, so the
  // statement never arrived; or it began a statement when we sent ours.
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

/** Which backends there are, of those asked after. */
export interface Presence {
  /** Who has answered. Null: it does not tell; the timeline, because it is a standby. */
  readonly server: { readonly system: string | null; readonly timeline: string | null; readonly startedAt: string }
  /** When each began, by its PID. Null: the server does not tell. */
  readonly began: ReadonlyMap<string, string | null>
}

/** Another server has answered: what it says of that PID is about another's backend. */
export function isElsewhere({ incarnation }: KnownBackend, { server }: Presence): boolean {
  return incarnation !== undefined && incarnation.startedAt !== server.startedAt
}

/** Has it left its server, or its server the field? The moments are told to the microsecond, so two servers, or two backends with one PID, do not share them. */
export function isGone({ pid, startedAt, incarnation }: KnownBackend, { server, began }: Presence): boolean {
  if (!incarnation) return false
  if (incarnation.startedAt !== server.startedAt) return hasReplaced(server, incarnation, startedAt)
  const found = began.get(pid)
  return found === undefined || (found !== null && found !== startedAt)
}
