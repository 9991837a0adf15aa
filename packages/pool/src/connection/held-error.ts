/** An error that may end the session, from the server or a pooler. Is it the statement's answer, or the end? The next message tells. */

import { type Clock, type Deadline, mayEndSession, saysError, startDeadline } from '@thaw/core'
import type { PeerQuery } from '../driver/peer.ts'

/** How long either may take. */
const END_MILLIS = 1000

/**
 * Must the error wait until more is known? Not one that says ERROR about a statement for which the server now waits for us: nothing would
 * follow.
 */
export function mustBeHeld(message: Error, query: PeerQuery): boolean {
  return mayEndSession(message) && !(saysError(message) && waitsForUs(query))
}

/** A cursor or a stream sends Sync only after an answer. So does pg's own Query when it fetches in portions, but there we have sent it; see `portions.ts`. */
function waitsForUs({ requiresPreparation }: PeerQuery): boolean {
  return !requiresPreparation
}

export interface HeldError {
  readonly error: Error
  readonly deadline: Deadline
}

/** `neither` is called if neither an end nor ReadyForQuery follows in time. */
export function holdBack(error: Error, clock: Clock, neither: () => void): HeldError {
  return { error, deadline: startDeadline(clock, END_MILLIS, neither, true) }
}
