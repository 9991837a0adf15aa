/**
 * A statement that is to be ended while one of the pool's own, in front of it, is at work: a CancelRequest ends what the server works on, and the statement would
 * run on.
 */

import { type Clock, startDeadline } from '@thaw/core'
import { nextTick } from '../driver/next-tick.ts'
import { activeQueryOf, type PeerClient, type PeerQuery } from '../driver/peer.ts'
import type { OwnStatement } from './own-statement.ts'
import { VITALS, type Vitals } from './vitals.ts'

/** The pool's own statements are answered within milliseconds. For longer than this, no caller waits who wants the end. */
const OWN_MILLIS = 250

/** Clients whose statement had one in front of it when it was to be ended. */
const waited = new WeakSet<object>()

/**
 * May a CancelRequest strike one of the pool's own statements, or the moment behind it? A backend that has said that it is ready is often put to sleep by the kernel in favour of the client that it has
 * woken up by that, and ignores a request that arrives before it has read the next message. Only in a fleet.
 */
export function mayMiss(client: PeerClient, clock: Clock): boolean {
  const from = (client as { readonly [VITALS]?: Vitals })[VITALS]?.leaseFrom
  return ownOf(client) !== undefined || waited.has(client) || (from !== undefined && clock.mono() - from.mono < OWN_MILLIS)
}

/** Calls back when it is the statement's turn, or that takes too long; at once if nothing is in front of it. Not if it has been answered meanwhile, or lost. */
export function whenItsTurn(client: PeerClient, query: PeerQuery, clock: Clock, done: () => void): void {
  const last = ownOf(client)
  if (!last) return done()
  waited.add(client)
  let isOver = false
  const settle = () => {
    deadline.cancel()
    const isItsTurn = !isOver && activeQueryOf(client) === query
    isOver = true
    if (isItsTurn) done()
  }
  const deadline = startDeadline(clock, OWN_MILLIS, settle)
  // Not before pg has seen the rest of what the socket brought: the statement may have been answered, too.
  last.afterwards(() => nextTick(settle))
}

function ownOf(client: PeerClient): OwnStatement | undefined {
  return (client as { readonly [VITALS]?: Vitals })[VITALS]?.own?.at(-1)
}
