/** Ending a backend that was lost, so that nothing of its transaction can be stored later, and its locks are free for the next try. */

import type { Clock } from '@thaw/core'
import { BACKEND_START } from '../connection/known-backend.ts'
import type { Memory } from '../connection/pool-context.ts'
import type { PeerClient } from '../driver/peer.ts'
import { ageMillis, type Backend, question, type UnaskedBackend, unaskedBackend } from './backend.ts'
import { BY_TAG, type FlightTag } from './flight-tag.ts'

/** What is known of the session that was lost. */
export interface LostSession {
  readonly backend: Backend | undefined
  /** Undefined behind a detected pooler, which invents what it sends at login. */
  readonly unasked: UnaskedBackend | undefined
  /** Behind a pooler a backend may serve another client by now: it is ended only while it is in this very transaction. */
  readonly isDirect: boolean
  readonly xid: bigint | null | undefined
  /** What its flight was marked with: found also where its backend is not known. */
  readonly tag?: FlightTag | undefined
}

/** By what its client knew. */
export function lostSession(
  { isDirect: wasDirect }: Pick<Memory, 'isDirect'>,
  client: PeerClient,
  { backend, xid }: Pick<LostSession, 'backend' | 'xid'>,
): LostSession {
  const isDirect = wasDirect !== false && (!backend || backend.pid === String(client.processID))
  return { backend, unasked: isDirect ? unaskedBackend(client) : undefined, isDirect, xid }
}

const BY_XID = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1::int AND ${BACKEND_START} = $2 AND backend_xid = ($3::xid8)::xid`
const BY_START = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1::int AND ${BACKEND_START} = $2`
/** A process id is not used again within seconds, so a process that has it, and is as old as the connection was, is its backend. */
const BY_AGE = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = $1::int AND pid <> pg_backend_pid()
  AND usename = current_user AND datname = current_database() AND application_name = current_setting('application_name')
  AND abs(extract(epoch FROM clock_timestamp() - backend_start) * 1000 - $2::float8) < 2000`

/** What to send, to end it. Undefined: it is not known which one it is. */
function fenceOf(
  { backend, unasked, isDirect, xid }: LostSession,
  clock: Clock,
): { readonly text: string; readonly values: string[] } | undefined {
  if (backend?.startedAt && isDirect) return { text: BY_START, values: [backend.pid, backend.startedAt] }
  if (backend?.startedAt && xid) return { text: BY_XID, values: [backend.pid, backend.startedAt, String(xid)] }
  if (!backend?.startedAt && unasked) return { text: BY_AGE, values: [unasked.pid, String(ageMillis(unasked, clock))] }
  return undefined
}

/** Is it known which one it is? */
export function canFence({ backend, unasked, isDirect, xid, tag }: LostSession): boolean {
  if (tag) return true
  return backend?.startedAt ? isDirect || Boolean(xid) : unasked !== undefined
}

/** Ends it, as far as can be. Returns whether it was there. What the server refuses changes nothing: a statement that waits for a lock waits as it would have. */
export async function fence(client: PeerClient, lost: LostSession, clock: Clock, timeoutMillis: number): Promise<boolean> {
  // A backend that has not read its flight yet has no tag: so where both are known both are tried.
  const statements = [fenceOf(lost, clock), lost.tag && { text: BY_TAG, values: lost.tag }]
  let isFound = false
  for (const statement of statements) {
    if (!statement) continue
    try {
      const { rows } = (await question(client, { ...statement, query_timeout: timeoutMillis })) as { rows: readonly unknown[] }
      isFound ||= rows.length > 0
    } catch (error) {
      if (!('severity' in (error as Error))) throw error
    }
  }
  return isFound
}
