/** Publishes waits for a connection, on the channel that pg-pool is to have for them. */

import { VITALS, type Vitals } from '../connection/vitals.ts'
import { keepContext, runIn } from '../driver/async-context.ts'
import { type TraceContext, Tracing } from '../driver/diagnostics.ts'
import type { ConnectCallback, PeerClient, PeerPool } from '../driver/peer.ts'

/** The context of `pg:pool:connect`, as in node-postgres#3650. */
interface AcquireContext extends TraceContext {
  readonly pool: { readonly totalCount: number; readonly idleCount: number; readonly waitingCount: number; readonly maxSize: number }
  /** Present once there is a connection. `reused`: it had been idle. */
  client?: { readonly processID: unknown; readonly reused: boolean }
}

/** What is published of the pool. */
export type CountedPool = Pick<PeerPool<never>, 'totalCount' | 'idleCount' | 'waitingCount' | 'options'>

/** Callers that want a connection. What the pool wants for itself is not a caller's wait. */
export const acquires: Tracing<AcquireContext> = new Tracing('pg:pool:connect')

/** Requests a connection, and publishes the wait. */
export function traceAcquire<Result>(
  pool: CountedPool,
  callback: ConnectCallback,
  acquire: (callback: ConnectCallback) => Result,
  context: AcquireContext = contextOf(pool),
): Result {
  // What the caller does next is not part of the wait.
  const caller = keepContext()
  return acquires.begin(context, (end) =>
    acquire((error, client, release) => {
      if (client) context.client = { processID: client.processID, reused: wasIdle(client) }
      runIn(caller, () => end(error, undefined, () => callback(error, client, release)))
    }),
  )
}

/** The callback, for a connection that is there at once: its wait begins and ends when it gets one. Without a connection nothing is published. */
export function traceAtOnce(pool: CountedPool, callback: ConnectCallback): ConnectCallback {
  const context = contextOf(pool)
  return (error, client, release) => traceAcquire(pool, callback, (traced) => traced(error, client, release), context)
}

function contextOf({ totalCount, idleCount, waitingCount, options }: CountedPool): AcquireContext {
  return { pool: { totalCount, idleCount, waitingCount, maxSize: options.max } }
}

function wasIdle(client: PeerClient): boolean {
  return (client as { [VITALS]?: Vitals })[VITALS]?.item !== undefined
}
