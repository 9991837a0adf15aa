/** The end of a pool: it waits for the clients in use, and for what the pool does by itself; or for a limited time. */

import { type Clock, startDeadline } from '@thaw/core'
import { asInterruption } from '../connection/interruption.ts'
import type { PeerPool, PendingItem } from '../driver/peer.ts'
import { streamOf } from '../driver/socket.ts'
import type { HealthChecks } from './health-checks.ts'
import { ownWorkOf } from './own-work.ts'

const DESTROYED = 'Connection destroyed by pool.end({ timeoutMillis })'

export interface EndingHost {
  readonly clock: Clock
  /** How long clients may still be used. Undefined: without limit. */
  readonly timeoutMillis: number | undefined
  readonly checks: Pick<HealthChecks, 'vitalsOf' | 'requestCancel'>
  turnAway(): void
  ended(destroyed: number): void
}

/** Returns what pg-pool should call when its last client is gone. */
export function startEnding<Item extends PendingItem>(pool: PeerPool<Item>, host: EndingHost): () => void {
  let destroyed = 0
  const destroyAll = () => {
    const clients = [...pool._clients]
    ownWorkOf(pool)?.turnOut()
    host.turnAway()
    for (const client of clients) {
      host.checks.requestCancel(client)
      streamOf(client)?.destroy(asInterruption(new Error(DESTROYED)))
      // A connection that is still being opened leaves by its own failure, which also stops pg-pool's timer.
      if (!streamOf(client) || host.checks.vitalsOf(client).status !== undefined) pool._remove(client)
    }
    destroyed = clients.length
    pool._pulseQueue()
  }
  const deadline = host.timeoutMillis === undefined ? undefined : startDeadline(host.clock, host.timeoutMillis, destroyAll)
  return () => {
    deadline?.cancel()
    host.ended(destroyed)
  }
}

/** Closes what is idle. The pool has ended when its last connection has left. */
export function finishEnding<Item extends PendingItem>(pool: PeerPool<Item>, abandonDials: () => void): void {
  for (const { client } of [...pool._idle]) pool._remove(client)
  // No caller waits for what is being opened: beside a connection that has answered after all, for instance.
  abandonDials()
  if (pool._clients.length > 0 || pool.ended || ownWorkOf(pool)?.isUnderWay) return
  pool.ended = true
  pool._endCallback?.()
}
