/** An error that may be the server's last word, or a pooler's: is it the statement's answer, or the end? What comes next tells. */

import { type Clock, type Deadline, mayEndSession, saysError, startDeadline } from '@thaw/core'
import type { PeerQuery } from '../driver/peer.ts'

/** How long either may take. */
const END_MILLIS = 1000

/** Must the error wait until more is known? Not one that says ERROR of a statement behind which the server waits for us: nothing would come. */
export function mayBeLastWords(message: Error, query: PeerQuery): boolean {
  return mayEndSession(message) && !(saysError(message) && waitsForUs(query))
}

/** A cursor or a stream, and pg's own Query that fetches by portions, send Sync only when they have heard. */
function waitsForUs({ requiresPreparation, rows }: PeerQuery): boolean {
  return !requiresPreparation || Boolean(rows)
}

/** An error that waits. */
export interface LastWords {
  readonly error: Error
  readonly deadline: Deadline
}

/** `neither` is called if it turns out to be neither answer nor end in time. */
export function holdBack(error: Error, clock: Clock, neither: () => void): LastWords {
  return { error, deadline: startDeadline(clock, END_MILLIS, neither, true) }
}
