/** The user's listeners on the pool, which may throw while the pool is in the middle of something. */

import type { EventEmitter } from 'node:events'
import { throwLater } from './next-tick.ts'
import type { PeerClient } from './peer.ts'

/** What pg-pool tells in the middle of its own work, where an exception would leave a caller waiting and a place taken for ever. */
const NAMES: ReadonlySet<string | symbol> = new Set(['connect', 'acquire', 'release', 'remove'])

const refusals = new WeakMap<PeerClient, Error>()

/**
 * Tells listeners. One that throws is an uncaught exception, as in node-postgres, but only when the pool has done its work. A `connect` listener is
 * different: the connection that it could not prepare must not be lent, so its error goes to whom the connection was for.
 */
export function tellListeners(
  pool: Pick<EventEmitter, 'listenerCount'>,
  name: string | symbol,
  client: unknown,
  tell: () => boolean,
): boolean {
  // pg-pool tells of idle connections that die. Without a listener that would end the process.
  if (name === 'error' && pool.listenerCount(name) === 0) return false
  if (!NAMES.has(name)) return tell()
  try {
    return tell()
  } catch (error) {
    if (name === 'connect') refusals.set(client as PeerClient, error as Error)
    else throwLater(error)
    return true
  }
}

/** The error of a `connect` listener that threw. */
export function refusalOf(client: PeerClient): Error | undefined {
  return refusals.get(client)
}
