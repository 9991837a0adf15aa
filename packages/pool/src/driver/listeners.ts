/** The user's listeners on the pool, which may throw while the pool is in the middle of something. */

import type { EventEmitter } from 'node:events'
import { throwLater } from './next-tick.ts'
import type { PeerClient } from './peer.ts'

/** What pg-pool emits in the middle of its own work, where an exception would leave a caller waiting and a place taken forever. */
const NAMES: ReadonlySet<string | symbol> = new Set(['connect', 'acquire', 'release', 'remove'])

const refusals = new WeakMap<PeerClient, Error>()

/**
 * Calls listeners. One that throws causes an uncaught exception, as in node-postgres, but only after the pool has finished its work. A
 * `connect` listener is different: a connection that it could not prepare must not be handed out, so its error goes to the caller that the
 * connection was for.
 */
export function tellListeners(
  pool: Pick<EventEmitter, 'listenerCount'>,
  name: string | symbol,
  client: unknown,
  tell: () => boolean,
): boolean {
  // pg-pool emits an error for each idle connection that dies. Without a listener that would end the process.
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

/** pg-pool's undocumented option, which it calls in the middle of its own work, too. */
export function guardLog<Log extends (...messages: unknown[]) => void>(log: Log, { log: own }: { readonly log?: unknown }): Log {
  if (!own) return log
  const guarded = (...messages: unknown[]) => {
    try {
      log(...messages)
    } catch (error) {
      throwLater(error)
    }
  }
  return guarded as Log
}

/** What of the user's is called on the way of a statement to the server, beside its callback. */
interface UserOptions {
  readonly Client?: unknown
  readonly onConnect?: unknown
  readonly password?: unknown
}

/** Is the user's own code called for a statement that is sent again? It may look at its async context, for a tenant or a trace. */
export function callsUserCode(pool: Pick<EventEmitter, 'listenerCount'> & { readonly options: object }): boolean {
  const { Client, onConnect, password } = pool.options as UserOptions
  if (Client !== undefined || onConnect !== undefined || typeof password === 'function') return true
  return pool.listenerCount('acquire') > 0 || pool.listenerCount('connect') > 0
}

/** The error of a `connect` listener that threw. */
export function refusalOf(client: PeerClient): Error | undefined {
  return refusals.get(client)
}
