/**
 * Synchronous replication: COMMIT waits for a standby, and whatever ends its backend or its statement ends that wait. Then the transaction is committed, and after a failover it may be gone. Only who
 * waited is warned. So before a write is told as stored whose own answer has not said so, something that is committed behind it has to reach the standby.
 */

import { type Clock, ReplicationUnconfirmedError } from '@thaw/core'
import type { PeerClient } from '../driver/peer.ts'
import { question, vitalsOf } from './backend.ts'

/**
 * Commits behind all that is committed. A transaction that has an id and has written nothing does not wait: so it writes a message into the WAL, for which no right is needed. What the session
 * has set of this must not count, nor hide the warning.
 */
export const CONFIRM = `SELECT set_config('client_min_messages', 'warning', true), set_config('synchronous_commit', level, true), pg_logical_emit_message(true, 'thaw', '')
  FROM (SELECT CASE current_setting('synchronous_commit') WHEN 'remote_apply' THEN 'remote_apply' ELSE 'on' END AS level) AS it`

export interface ConfirmHost {
  readonly clock: Clock
  cancel(client: PeerClient): void
}

/** How long the server has to answer the cancel. */
const ANSWER_MILLIS = 2_000

/** Have the standbys got all that was committed before? False: not in time, and the client has to be closed, because a cancel may be on its way to it. Otherwise a session would wait there until they are back. */
export async function isReplicated(
  { clock, cancel }: ConfirmHost,
  client: PeerClient,
  timeoutMillis: number,
  signal?: AbortSignal,
): Promise<boolean> {
  const { sending } = vitalsOf(client) ?? {}
  if (sending) sending.isUnreplicated = false
  let isLate = false
  const end = () => {
    isLate = true
    cancel(client)
  }
  const timer = clock.setTimer(end, timeoutMillis)
  signal?.addEventListener('abort', end)
  try {
    await question(client, { text: CONFIRM, query_timeout: timeoutMillis + ANSWER_MILLIS })
  } catch (error) {
    if (!isLate) throw error
  } finally {
    clock.clearTimer(timer)
    signal?.removeEventListener('abort', end)
  }
  return !isLate && !sending?.isUnreplicated
}

/** What ended the wait, where the answer came nevertheless. */
export const WARNED = 'PostgreSQL has ended its wait for synchronous replication'

export const OUTCOME_ASKS = 'pool.outcome(error) asks again.'
export const SAME_KEY_ASKS = 'The same call under the same key asks again, and so does pool.outcome(error).'

/** Of a write that is stored, and may be lost. `again`: how it is asked again. */
export function unconfirmed(cause: Error, again: string): Error {
  return new ReplicationUnconfirmedError({
    message: `${cause.message}: it is committed, but the synchronous standbys of the server have not confirmed it in time. A failover could lose it: do not send it again. ${again}`,
    cause,
  })
}
