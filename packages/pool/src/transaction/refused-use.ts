/** What the client of `pool.transaction()` refuses, in words. */

import { controlsTransaction, type Statement, TransactionUseError } from '@thaw/core'
import type { PeerClient } from '../driver/peer.ts'
import { connectionOf } from '../driver/socket.ts'
import { vitalsOf } from './backend.ts'

export const BY_HAND =
  'A statement that begins or ends a transaction was given to the client of pool.transaction(), which does both by itself. Remove it; throw an error to roll back, and call client.transaction() for a part that may fail alone.'
export const ENDED_BY_HAND =
  'The transaction of pool.transaction() was over before its function was: one of its texts has ended it. What it did until then may be stored.'
const AFTER_ITS_END =
  'The client of pool.transaction() was used after its function had ended. Nothing was sent, and nothing of a transaction that had not ended yet is stored. Await everything that uses the client before the function returns.'
export const FAILED_BEFORE =
  'A statement of the transaction had failed, and its function went on as if nothing had happened. Nothing was stored. Let the error pass, or put what may fail into client.transaction().'

export function afterItsEnd(): TransactionUseError {
  return new TransactionUseError({ message: AFTER_ITS_END })
}

/** A savepoint of the user's own is left alone. */
const SAVEPOINTS = /^\s*(?:savepoint|release|rollback\s+(?:work\s+|transaction\s+)?to|set)\b/i

/** Does it begin or end a transaction? */
export function isByHand(client: PeerClient, { kind, mayCommit }: Pick<Statement, 'kind' | 'mayCommit'>, text: string): boolean {
  if (kind === 'transaction') return mayCommit || !SAVEPOINTS.test(text)
  return kind === 'unknown' && controlsTransaction(text, vitalsOf(client)?.hasStandardStrings)
}

const ENDS = /^(?:BEGIN|COMMIT|PREPARE TRANSACTION|ROLLBACK|START TRANSACTION)$/

/** What cannot be read may end the transaction, and begin another: the server tells by the tags of its answers. Returns how to stop listening. */
export function whenEnded(client: PeerClient, ended: () => void): () => void {
  const connection = connectionOf(client)
  const note = ({ text }: { readonly text: string }) => {
    if (ENDS.test(text)) ended()
  }
  connection?.on('commandComplete', note)
  return () => void connection?.off('commandComplete', note)
}
