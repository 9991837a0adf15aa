/**
 * The id of a transaction, by which the server tells whether it was stored. What has changed no row has none, and needs none: stored or not is the same. NOTIFY is the exception, by itself or in a
 * function: its session gives it one only during COMMIT, which is too late to be told of it. So where a statement may notify an id is taken, instead of asked for. See decision 288.
 */

import type { Statement } from '@thaw/core'
import { RAW } from './backend.ts'
import { takesNoSnapshot } from './who-first.ts'

/** Null as long as the transaction has changed nothing. */
export const ASK_XID: { readonly config: object } = { config: { text: 'SELECT pg_current_xact_id_if_assigned()::text AS xid', types: RAW } }
/** Null on a standby, which has no ids to give, and refuses to be asked for one. */
export const TAKE_XID: { readonly config: object } = {
  config: { text: 'SELECT CASE WHEN NOT pg_is_in_recovery() THEN pg_current_xact_id() END::text AS xid', types: RAW },
}

/** Reads the answer to either. */
export function xidOf(answer: unknown): bigint | null | undefined {
  const row = (answer as { readonly rows?: readonly { readonly xid?: string | null }[] } | undefined)?.rows?.[0]
  if (!row) return undefined
  return row.xid == null ? null : BigInt(row.xid)
}

/** May it have an effect without changing a row? Whatever is not certainly a read may: no text shows what a function or a trigger does. */
export function hasUnseenEffect({ kind }: Pick<Statement, 'kind'>, text: string | undefined): boolean {
  if (kind === 'unknown') return true
  return kind !== 'read' && kind !== 'transaction' && !takesNoSnapshot(text)
}
