/** What a statement leaves behind in its session, and on whose account. */

import type { PeerClient, PeerQuery } from '../driver/peer.ts'
import type { StatementHost } from './statement-host.ts'
import { VITALS, type Vitals } from './vitals.ts'

/**
 * Notes that the statement, which is about to be sent, leaves session state: unless it is that of a listener of `connect`, which is sent on each new
 * connection. Then the function is returned that has to be told of it.
 */
export function noteSessionState(
  client: PeerClient,
  vitals: Vitals,
  { ofListener, classify }: Pick<StatementHost, 'ofListener' | 'classify'>,
  text: unknown,
): ((query: PeerQuery) => void) | undefined {
  const listened = ofListener?.(client)
  if (listened === undefined && vitals.isOccupied && typeof text === 'string' && classify.leavesState(text)) vitals.sessionState = 'left'
  return listened
}

/** Has a caller left state in its session (SET, …), which dies with it? Of a transaction it is asked before anything is sent: what it sets itself it sets again when it is run again. */
export function hasSessionState(client: PeerClient): boolean {
  return ((client as { readonly [VITALS]?: Vitals })[VITALS]?.sessionState ?? 'none') !== 'none'
}
