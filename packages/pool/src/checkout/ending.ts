/** The end of a pool: it waits for whoever has a client, or for so long. */

import { type Clock, startDeadline } from '@thaw/core'
import { asInterruption } from '../connection/interruption.ts'
import type { PeerPool, PendingItem } from '../driver/peer.ts'
import { isAtWork } from '../inquiry/cancel-request.ts'
import type { Door } from './door.ts'

const DESTROYED = 'Connection destroyed by pool.end({ timeoutMillis })'

/** What the end needs of its pool. */
export interface EndingHost {
  readonly clock: Clock
  /** How long clients may still be used. Undefined: for as long as it takes. */
  readonly timeoutMillis: number | undefined
  readonly door: Pick<Door, 'vitalsOf' | 'requestCancel'>
  /** Whoever waits for a connection does so in vain. */
  turnAway(): void
  /** So many connections were still in use. */
  ended(destroyed: number): void
}

/** Returns what pg-pool shall call when its last client has gone. */
export function startEnding<Item extends PendingItem>(pool: PeerPool<Item>, host: EndingHost): () => void {
  let destroyed = 0
  const destroyAll = () => {
    const clients = [...pool._clients]
    host.turnAway()
    for (const client of clients) {
      if (isAtWork(client)) host.door.requestCancel(client)
      client.connection?.stream.destroy(asInterruption(new Error(DESTROYED)))
      // One that is still being dialled leaves by its own failure, which also stops pg-pool's timer.
      if (!client.connection || host.door.vitalsOf(client).status !== undefined) pool._remove(client)
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
