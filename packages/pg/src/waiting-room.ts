/** Callers who wait for a connection: how long each still may, and who is told that the time is up. */

import { type Clock, type Deadline, LATE_MILLIS, startDeadline } from '@thaw/core'
import type { PendingItem } from './peer.ts'

/** A caller in pg-pool's queue. */
export interface Waiter extends PendingItem {
  /** When it began to wait, on the monotonic clock; later, if the process was frozen meanwhile. */
  since: number
}

/** What a waiting room needs of its pool. */
export interface WaitingHost {
  readonly clock: Clock
  /** Everybody who waits, in the order of their coming: pg-pool's own list. */
  queue(): Waiter[]
  /** How long anybody may wait. Infinity: for ever. */
  patienceMillis(): number
  /** What to tell somebody whose time is up. */
  timeUp(waitedMillis: number): Error
}

export class WaitingRoom {
  readonly #host: WaitingHost
  #alarm: Deadline | undefined
  #alarmAt = Number.POSITIVE_INFINITY

  constructor(host: WaitingHost) {
    this.#host = host
  }

  /** How long the first in the queue will go on waiting. Undefined: nobody waits. */
  remainingMillis(): number | undefined {
    const first = this.#host.queue()[0]
    return first && first.since + this.#host.patienceMillis() - this.#host.clock.mono()
  }

  /** Rejects everybody whose time is up. */
  giveUp(): void {
    const now = this.#host.clock.mono()
    const queue = this.#host.queue()
    // The time for which the process was frozen is nobody's fault, and was nobody's chance.
    const late = now - this.#alarmAt
    if (late > LATE_MILLIS) {
      for (const waiter of queue) waiter.since += late
      this.#alarmAt = now
    }
    const patience = this.#host.patienceMillis()
    for (let first = queue[0]; first && now - first.since >= patience; first = queue[0]) {
      queue.shift()
      this.reject(first, this.#host.timeUp(now - first.since))
    }
  }

  /** One timer for all who wait. It costs the hot path nothing: nobody waits there. */
  setAlarm(): void {
    const remaining = this.remainingMillis()
    if (this.#alarm || remaining === undefined || remaining === Number.POSITIVE_INFINITY) return
    const millis = Math.max(0, remaining)
    this.#alarmAt = this.#host.clock.mono() + millis
    const ring = () => {
      this.#alarm = undefined
      this.giveUp()
      this.#alarmAt = Number.POSITIVE_INFINITY
      this.setAlarm()
    }
    this.#alarm = startDeadline(this.#host.clock, millis, ring, true)
  }

  /** Sends everybody away with the same error. */
  clear(error: Error): void {
    for (const waiter of this.#host.queue().splice(0)) this.reject(waiter, error)
  }

  reject(waiter: Waiter | undefined, error: Error): void {
    waiter?.callback(error, undefined, () => {})
  }

  /** Stops the timer. */
  close(): void {
    this.#alarm?.cancel()
  }
}
