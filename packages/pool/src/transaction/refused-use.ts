/** What the client of `pool.transaction()` refuses, in words. */

import { TransactionUseError } from '@thaw/core'

export const BY_HAND =
  'A statement that begins or ends a transaction was given to the client of pool.transaction(), which does both by itself. Remove it; throw an error to roll back, and call client.transaction() for a part that may fail alone.'
export const ENDED_BY_HAND =
  'The transaction of pool.transaction() was over before its function was: one of its texts has ended it. What it did until then may be stored.'
const AFTER_ITS_END =
  'The client of pool.transaction() was used after its function had ended. Nothing was sent, and nothing of a transaction that had not ended yet is stored. Await everything that uses the client before the function returns.'
export const FAILED_BEFORE =
  'A statement of the transaction had failed, and its function went on as if nothing had happened. Nothing was stored. Let the error pass, or put what may fail into client.transaction().'
export const TELLS_NOTHING = 'The server refused to tell the id of the transaction. It is run again, without being asked.'
export const INSIDE_ANOTHER =
  'The session was inside of a transaction before the statements came, so nothing is stored: a listener of "connect", onConnect or "verify" has begun one and not ended it. The connection is closed. End that transaction where it begins, with COMMIT.'

export function afterItsEnd(): TransactionUseError {
  return new TransactionUseError({ message: AFTER_ITS_END })
}
