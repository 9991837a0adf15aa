/** Handing idle connections to who waits. */

import type { Reading } from '@thaw/core'
import type { Door } from './door.ts'
import type { ConnectCallback, IdleItem, PeerClient, PeerPool, PendingItem } from './peer.ts'
import type { Waiter } from './waiting-room.ts'

export class Lending {
  readonly #pool: PeerPool<Waiter>
  readonly #door: Door

  constructor(pool: PeerPool<Waiter>, door: Door) {
    this.#pool = pool
    this.#door = door
  }

  /** Lends what may be lent unasked, and has the rest looked at. `releasedAt`: the clocks, where they were read in this very turn. */
  lendIdle(releasedAt: Reading | undefined): void {
    const { _pendingQueue, _idle } = this.#pool
    if (_idle.length === 0) return
    const now = this.#door.look(undefined, releasedAt)
    while (_pendingQueue.length > 0) {
      const item = this.#door.takeTrusted(now)
      const waiter = item && _pendingQueue.shift()
      if (!waiter) break
      this.#lend(item, waiter)
    }
    if (_pendingQueue.length > 0 && _idle.length > 0) this.#door.vet()
  }

  /** As `connect` and its tick would, where that has nothing to do but to take the newest. */
  lendNow(callback: ConnectCallback): boolean {
    const item = this.#pool._idle.length > 0 ? this.#door.takeTrusted(this.#door.look()) : undefined
    if (item) this.#lend(item, { callback })
    return item !== undefined
  }

  /** Lends an unproven client to whoever is so far behind the first in the queue, if his statement takes the question with it. */
  lendToRider(client: PeerClient, place: number): boolean {
    const { _pendingQueue, _idle } = this.#pool
    const index = _idle.findIndex((one) => one.client === client)
    const waiter = _pendingQueue[place]
    if (!waiter?.rides || index === -1) return false
    _pendingQueue.splice(place, 1)
    this.#door.vitalsOf(client).rides = true
    for (const item of _idle.splice(index, 1)) this.#lend(item, waiter)
    return true
  }

  #lend({ client, timeoutId, idleListener }: IdleItem, waiter: PendingItem): void {
    clearTimeout(timeoutId)
    client.ref?.()
    this.#pool._acquireClient(client, waiter, idleListener, false)
  }
}
