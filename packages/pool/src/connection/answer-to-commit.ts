/** What a server says of a COMMIT that did not do what its words say. */

import { codeOf, type StatementCache } from '@thaw/core'
import type { PeerQuery } from '../driver/peer.ts'

const ADMIN_SHUTDOWN = '57P01'
/**
 * Where PostgreSQL warns that it has committed without its replicas (src/backend/replication/syncrep.c). The name of the function, because
 * an immediate stop warns with the same code, in `quickdie`, and means nothing of the kind; texts are translated.
 */
const COMMITTED_ALREADY = 'SyncRepWaitForLSN'

export function isUnreplicated(notice: { readonly routine?: unknown }): boolean {
  return codeOf(notice) === ADMIN_SHUTDOWN && notice.routine === COMMITTED_ALREADY
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
