/** A caller that waits for a connection. */

import type { RunInContext } from './async-context.ts'
import type { ConnectCallback, PendingItem } from './peer.ts'

/** A caller in pg-pool's queue. */
export interface Waiter extends PendingItem {
  callback: ConnectCallback
  /** When it began to wait, on the monotonic clock; later by the time for which the process was frozen meanwhile. */
  since: number
  /** When the invocation that it belongs to is over, on the wall clock, whether or not the process runs. Infinity: not known. */
  readonly until: number
  /** May its statement take the proof with it? Then any connection will do that is not known to be dead. */
  readonly mayRide?: (() => boolean) | undefined
  /** Runs what concerns the caller in its own async context. */
  readonly run?: RunInContext | undefined
  /** It is for a statement of the pool's own, which gives the client back by itself, and shows it to nobody. */
  readonly isOwn?: boolean | undefined
}
