/** What a connection of a pool is doing, and what it may do next. Its state changes here and nowhere else. */

import type { PeerClient } from '../driver/peer.ts'
import { streamOf } from '../driver/socket.ts'

/**
 * - `connecting`: it is being opened, and no caller has had it yet.
 * - `idle`: it is quiet, and in the pool's list of idle connections.
 * - `probing`: idle, with a probe on its way.
 * - `in use`: a caller has it, or one statement of `pool.query()`.
 * - `draining`: no caller has it, but a former caller's statement is still running or queued on it.
 * - `closed`: it has left the pool.
 */
export type ConnectionState = 'connecting' | 'idle' | 'probing' | 'in use' | 'draining' | 'closed'

const NEXT: Readonly<Record<ConnectionState, readonly ConnectionState[]>> = {
  connecting: ['in use', 'closed'],
  idle: ['probing', 'in use', 'draining', 'closed'],
  // A former caller's statement may begin behind the probe: a promise chain that was not awaited, or a `release` listener.
  probing: ['idle', 'in use', 'draining', 'closed'],
  'in use': ['idle', 'draining', 'closed'],
  draining: ['idle', 'closed'],
  closed: [],
}

/** Moves that are not in the table, for tests: each is a bug in Thaw. The newest ten. */
export const illegalMoves: string[] = []
const MOST_KEPT = 10

/**
 * Changes the state of a connection. A move that is not in the table ends the connection, because it is no longer known whose answers come
 * next. Returns whether it was allowed.
 */
export function enter(client: PeerClient, vitals: { state: ConnectionState }, next: ConnectionState): boolean {
  const { state } = vitals
  // Several may give up a connection: a health check, its socket, its caller.
  if (state === 'closed' && next === 'closed') return true
  if (NEXT[state].includes(next)) {
    vitals.state = next
    return true
  }
  illegalMoves.push(`${state} → ${next}`)
  if (illegalMoves.length > MOST_KEPT) illegalMoves.shift()
  vitals.state = 'closed'
  streamOf(client)?.destroy()
  return false
}
