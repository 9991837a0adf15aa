/**
 * Closes connections that are no longer used: pg-pool's courtesy to the server. pg-pool starts and stops a timer for each use, which takes
 * a tenth of the cost of one. This timer runs for all of them, and when it fires looks for those that have been idle long enough.
 */

import { type Clock, elapsedMillis, type Reading, read, type Timer } from '@thaw/core'
import type { PeerClient, PeerPool, PendingItem } from '../driver/peer.ts'

export interface IdleHost {
  readonly pool: PeerPool<PendingItem>
  readonly clock: Clock
  /** After how long an idle connection is closed, now. Infinity: never. */
  idleTimeoutMillis(): number
  idleSince(client: PeerClient): Reading
}

export class IdleTimer {
  readonly #host: IdleHost
  #timer: Timer | undefined

  constructor(host: IdleHost) {
    this.#host = host
  }

  /** A connection has been released. Costs nothing while the timer runs anyway: one that was released later is closed later. */
  start(): void {
    if (this.#timer !== undefined || this.#host.pool._idle.length === 0) return
    const timeoutMillis = this.#host.idleTimeoutMillis()
    if (timeoutMillis < Number.POSITIVE_INFINITY) this.#wait(timeoutMillis)
  }

  stop(): void {
    if (this.#timer !== undefined) this.#host.clock.clearTimer(this.#timer)
    this.#timer = undefined
  }

  /** Does not keep the process alive: the sockets do that, as long as they should. */
  #wait(millis: number): void {
    this.#timer = this.#host.clock.setTimer(() => this.#close(), millis, true)
  }

  #close(): void {
    this.#timer = undefined
    const now = read(this.#host.clock)
    let next = Number.POSITIVE_INFINITY
    for (const { client } of [...this.#host.pool._idle]) {
      const timeoutMillis = this.#host.idleTimeoutMillis()
      const remaining = timeoutMillis - elapsedMillis(this.#host.idleSince(client), now)
      if (remaining <= 0) this.#host.pool._remove(client)
      else next = Math.min(next, remaining)
    }
    if (next < Number.POSITIVE_INFINITY && this.#host.pool._idle.length > 0) this.#wait(next)
  }
}
