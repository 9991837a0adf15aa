/** A caller that waits for a connection. */

import type { Context } from './async-context.ts'
import { throwLater } from './next-tick.ts'
import type { ConnectCallback, PeerClient, PendingItem, Release } from './peer.ts'

/** A caller in pg-pool's queue. */
export interface Waiter extends PendingItem {
  callback: ConnectCallback
  /** When it began to wait, on the monotonic clock; moved later by the time for which the process was frozen meanwhile. */
  since: number
  /** When it came, on the monotonic clock, if it had its place on a connection before: it is in front of those who came later. */
  readonly place?: number | undefined
  /** When its invocation must have ended, on the wall clock, whether or not the process runs. Infinity: not known. */
  readonly until: number
  /** May its statement carry a probe? Then any connection will do that is not known to be dead. */
  readonly mayPiggyback?: (() => boolean) | undefined
  /** Goes out behind others, on a connection that is shared, if it may now. `before`: so many wait in front of it. True: it has, and waits no more. */
  readonly share?: ((before: number) => boolean) | undefined
  /** The async context of the caller: what concerns it runs there. */
  readonly context?: Context | undefined
  /** It is for a statement of the pool's own, which releases the client by itself, and does not expose it. */
  readonly isOwn?: boolean | undefined
  /** Its invocation can end the wait. */
  readonly signal?: AbortSignal | undefined
  /** To be called when the wait is over, if a signal may end it. */
  lift?: (() => void) | undefined
}

/**
 * Calls back in the caller's own async context. Undefined as the context: pg-pool's item, or one that never waited. A callback that throws
 * causes an uncaught exception, as in node-postgres, but does not keep other waiting callers from being served.
 */
export function callBack(
  { callback, context }: PendingItem & Pick<Waiter, 'context'>,
  error: Error | undefined,
  client: PeerClient | undefined,
  release: Release,
): void {
  try {
    if (context) context.runInAsyncScope(callback, undefined, error, client, release)
    else callback(error, client, release)
  } catch (thrown) {
    throwLater(thrown)
  }
}
