/** What the caller of a lost statement is told, and the `error` event of its client, which comes first. */

import type { PeerClient, PeerQuery } from '../driver/peer.ts'
import { loseSent, lossOf, mayRemain } from './lost-statement.ts'
import type { StatementHost } from './statement-host.ts'
import type { Vitals } from './vitals.ts'

export interface Attached {
  readonly vitals: Vitals
  readonly host: StatementHost
}

export function lose(client: PeerClient, { vitals, host }: Attached, query: PeerQuery, cause: Error, isPipelined: boolean): Error {
  const error = loseSent(client, vitals, { query, classify: host.classify, isPipelined, isDirect: host.isDirect }, cause)
  const loss = lossOf(error)
  const remains = mayRemain(error)
  if (remains) vitals.mayRemain = error
  if (!loss || vitals.isPoolQuery || vitals.isFoundOut) return error
  // Of several, the one that may have been executed.
  if (!vitals.told || remains) vitals.told = error
  host.reported(loss)
  return error
}

/**
 * Who listens during a statement, as pg-pool's `query()` does, rejects with what it hears. So that is what the caller is told, and not the socket's error, which retry
 * logic takes for "not executed".
 */
export function emitLoss(client: PeerClient, { vitals, host }: Attached, cause: Error): void {
  const said: Error & { client?: unknown } = vitals.told ?? cause
  vitals.told = undefined
  vitals.lostBy = cause
  try {
    client.emit('error', said)
  } catch (thrown) {
    // node-postgres' own pool: it has closed its idle client, marked the error with it, and emitted that where there is no listener.
    if (!host.isAlone || thrown !== said || said.client !== client) throw thrown
  }
}
