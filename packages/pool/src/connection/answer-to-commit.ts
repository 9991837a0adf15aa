/** What a server says of a COMMIT that did not do what its words say. */

import type { StatementCache } from '@thaw/core'
import type { PeerQuery } from '../driver/peer.ts'

/**
 * Where PostgreSQL warns that it has committed without its replicas (src/backend/replication/syncrep.c): with 57P01 as its backend is ended, with 01000 as its statement is canceled, which it answers as if
 * nothing were wrong. The name of the function, because an immediate stop warns with 57P01, too, in `quickdie`, and means nothing of the kind; texts are translated.
 */
const COMMITTED_ALREADY = 'SyncRepWaitForLSN'

export function isUnreplicated(notice: { readonly routine?: unknown }): boolean {
  return notice.routine === COMMITTED_ALREADY
}

export function isCommit({ classify }: { readonly classify: StatementCache }, { text }: PeerQuery): boolean {
  const statement = typeof text === 'string' ? classify(text) : undefined
  return statement?.kind === 'transaction' && statement.mayCommit
}

/** Whatever the server still says, the caller is told this, when the statement has ended. */
export function answerWith(query: PeerQuery, answer: Error): void {
  const { callback } = query
  query.callback = (error) => callback?.(error ?? answer)
}
