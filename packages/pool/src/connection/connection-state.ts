/** What a connection of a pool is doing, and what it may do next. Its state changes here and nowhere else. */

import type { PeerClient } from '../driver/peer.ts'

/**
 * - `connecting`: it is being opened, and no caller has had it yet.
 * - `idle`: it is quiet, and in the pool's list of idle connections.
 * - `probing`: as idle, and it has been asked whether it lives.
 * - `in use`: a caller has it, or one statement of `pool.query()`.
 * - `draining`: nobody has it, but a statement of a former caller is still running or waiting on it.
 * - `closed`: it has left the pool.
 */
export type ConnectionState = 'connecting' | 'idle' | 'probing' | 'in use' | 'draining' | 'closed'

const NEXT: Readonly<Record<ConnectionState, readonly ConnectionState[]>> = {
  connecting: ['in use', 'closed'],
  idle: ['probing', 'in use', 'draining', 'closed'],
  // A statement of a former caller may begin behind the probe: a chain that nobody awaited, or a `release` listener.
  probing: ['idle', 'in use', 'draining', 'closed'],
  'in use': ['idle', 'draining', 'closed'],
  draining: ['idle', 'closed'],
  closed: [],
}

/** Moves that are not in the table, for tests: each is a bug of ours. The newest ten. */
export const illegalMoves: string[] = []
const MOST_KEPT = 10

/**
 * Changes the state of a connection. A move that is not in the table ends the connection, because nobody knows any more whose answers come next.
 * Returns whether it was allowed.
 */
export function enter(client: PeerClient, vitals: { state: ConnectionState }, next: ConnectionState): boolean {
  const { state } = vitals
  // Several may give a connection up: the door, its socket, whoever has it.
  if (state === 'closed' && next === 'closed') return true
  if (NEXT[state].includes(next)) {
    vitals.state = next
    return true
  }
  illegalMoves.push(`${state} → ${next}`)
  if (illegalMoves.length > MOST_KEPT) illegalMoves.shift()
  vitals.state = 'closed'
  client.connection?.stream.destroy()
  return false
}
