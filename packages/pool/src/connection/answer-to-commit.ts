/** What a server says of a COMMIT that did not do what its words say. */

import { CommitRolledBackError, type StatementCache } from '@thaw/core'
import { activeQueryOf, type PeerQuery } from '../driver/peer.ts'
import { NOT_STORED } from './client-messages.ts'

/**
 * Where PostgreSQL warns that it has committed without its replicas (src/backend/replication/syncrep.c): with 57P01 as its backend is ended, with 01000 as its statement is canceled, which it answers as if
 * nothing were wrong. The name of the function, because an immediate stop warns with 57P01, too, in `quickdie`, and means nothing of the kind; texts are translated.
 */
const COMMITTED_ALREADY = 'SyncRepWaitForLSN'

export function isUnreplicated(notice: { readonly routine?: unknown }): boolean {
  return notice.routine === COMMITTED_ALREADY
}

/** It was a COMMIT, and the server has answered with ROLLBACK: whatever it still says, the caller is told this, when the statement has ended. */
export function answerToCommit(client: object, { classify }: { readonly classify: StatementCache }, answer: string): void {
  const query = answer === 'ROLLBACK' ? activeQueryOf(client) : undefined
  const { callback } = query ?? {}
  if (!query || !callback || !isCommit(classify, query)) return
  const told = new CommitRolledBackError(NOT_STORED)
  query.callback = (error) => callback(error ?? told)
}

function isCommit(classify: StatementCache, { text }: PeerQuery): boolean {
  const statement = typeof text === 'string' ? classify(text) : undefined
  return statement?.kind === 'transaction' && statement.mayCommit
}
