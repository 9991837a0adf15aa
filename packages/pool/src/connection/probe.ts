/** Probing a connection: is it alive? */

import { type Clock, startDeadline } from '@thaw/core'
import { dropListener, keepListener } from '../driver/kept-listener.ts'
import { nextTick } from '../driver/next-tick.ts'
import type { PeerClient } from '../driver/peer.ts'
import { SYNC } from './extended-query.ts'
import type { Bounds } from './interruption.ts'
import { isWatched, type Vitals } from './vitals.ts'

/**
 * Parse of an empty text, as the unnamed statement, and Flush: answered by ParseComplete at once, however long what follows takes. Not
 * Sync, because poolers that read chunk by chunk drop what follows it
 * (https://www.postgresql.org/docs/current/protocol-message-formats.html).
 */
export const PROOF: Uint8Array<ArrayBuffer> = Uint8Array.of(0x50, 0, 0, 0, 8, 0, 0, 0, 0, 0x48, 0, 0, 0, 4)

/**
 * Sends the Sync to a client that has no reply due, and waits for the reply, at most `timeoutMillis`. Does not pass through `client.query`,
 * which tracing tools patch. The reply is told apart from those to statements by its position: what is sent behind the Sync is answered
 * after its ReadyForQuery. Calls back once; with the error by which the connection ended, if it did.
 *
 * @param waitsOn asked when the time is up: is the reply waited for as long once more?
 */
export function probe(
  client: PeerClient,
  vitals: Vitals,
  clock: Clock,
  timeoutMillis: number,
  done: (alive: boolean, broken?: Error) => void,
  waitsOn: () => boolean = () => false,
): void {
  const { connection } = client
  let isOver = false
  const settle = (alive: boolean, broken?: Error) => {
    if (isOver) return
    isOver = true
    deadline.cancel()
    dropListener(client, 'error', died)
    dropListener(client, 'end', died)
    if (!isWatched(client)) connection.off('readyForQuery', heard)
    done(alive, broken)
  }
  const answered = () => settle(true)
  const heard = () => nextTick(answered)
  const died = (error?: Error) => settle(false, vitals.lostBy ?? error)
  keepListener(client, 'error', died)
  keepListener(client, 'end', died)
  const wait = () => startDeadline(clock, timeoutMillis, late)
  const late = () => {
    if (waitsOn()) deadline = wait()
    else died()
  }
  let deadline = wait()
  const { owed } = vitals
  // The pool may probe at the same time as a caller that still uses a client it has released: one reply answers both, and only one is
  // expected.
  if (isWatched(client) && owed?.to === 'probe') {
    vitals.owed = {
      ...owed,
      answered: () => {
        owed.answered()
        answered()
      },
    }
    return
  }
  // A class that is not ours does not report whose ReadyForQuery it was. pg takes it first, or it would be for what is sent next; but a listener of the user's `drain`,
  // which pg then emits, may throw.
  if (!isWatched(client)) connection.prependListener('readyForQuery', heard)
  vitals.wake?.()
  if (isWatched(client)) vitals.owed = { to: 'probe', behind: vitals.own?.length ?? 0, answered }
  connection.stream.write(SYNC)
}

/** Until its probe has been answered, a statement counts as being checked, and its own timeout does not run. */
export function beginsWithProof(vitals: Vitals): Bounds['begins'] {
  const { owed } = vitals
  if (owed?.to !== 'piggybacked') return undefined
  return (begin) => {
    vitals.owed = {
      to: 'piggybacked',
      answered() {
        owed.answered()
        begin()
      },
    }
  }
}
