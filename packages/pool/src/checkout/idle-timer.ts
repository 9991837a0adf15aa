/**
 * Closes connections that nobody uses any more: pg-pool's courtesy to the server. pg-pool starts and stops a timer for each loan, which takes a
 * tenth of what a loan costs. This one runs for all of them, and looks when it is over who has been idle for so long.
 */

import { type Clock, elapsedMillis, type Reading, read, type Timer } from '@thaw/core'
import type { IdleItem, PeerClient } from '../driver/peer.ts'

/** What the timer needs of its pool. */
export interface IdleHost {
  readonly clock: Clock
  /** The idle clients, newest last. */
  idle(): readonly IdleItem[]
  /** After how long an idle connection is closed, now. Infinity: never. */
  idleTimeoutMillis(): number
  idleSince(client: PeerClient): Reading
  /** Takes the client out of the pool and closes it. */
  remove(client: PeerClient): void
}

export class IdleTimer {
  readonly #host: IdleHost
  #timer: Timer | undefined

  constructor(host: IdleHost) {
    this.#host = host
  }

  /** A connection has come back. Costs nothing while the timer runs anyway: whoever came back later is closed later. */
  start(): void {
    if (this.#timer !== undefined || this.#host.idle().length === 0) return
    const timeoutMillis = this.#host.idleTimeoutMillis()
    if (timeoutMillis < Number.POSITIVE_INFINITY) this.#wait(timeoutMillis)
  }

  stop(): void {
    if (this.#timer !== undefined) this.#host.clock.clearTimer(this.#timer)
    this.#timer = undefined
  }

  /** Keeps no process alive: the sockets do that, as long as they are to. */
  #wait(millis: number): void {
    this.#timer = this.#host.clock.setTimer(() => this.#close(), millis, true)
  }

  #close(): void {
    this.#timer = undefined
    const now = read(this.#host.clock)
    let next = Number.POSITIVE_INFINITY
    for (const { client } of [...this.#host.idle()]) {
      const timeoutMillis = this.#host.idleTimeoutMillis()
      const remaining = timeoutMillis - elapsedMillis(this.#host.idleSince(client), now)
      if (remaining <= 0) this.#host.remove(client)
      else next = Math.min(next, remaining)
    }
    if (next < Number.POSITIVE_INFINITY && this.#host.idle().length > 0) this.#wait(next)
  }
}
