/** Callers who wait for a connection: how long each still may, and who is told that the time is up. */

import { type Clock, currentInvocation, type Deadline, LATE_MILLIS, startDeadline } from '@thaw/core'
import type { RunInContext } from './async-context.ts'
import { type Bounds, bound, checkSignal, interruptedBefore } from './interruption.ts'
import { nextTick } from './next-tick.ts'
import { type ConnectOptions, checkConnectOptions } from './options.ts'
import type { ConnectCallback, PendingItem } from './peer.ts'

/** A caller in pg-pool's queue. */
export interface Waiter extends PendingItem {
  callback: ConnectCallback
  /** When it began to wait, on the monotonic clock; later, if the process was frozen meanwhile. */
  since: number
  /** When the invocation that it belongs to is over, on the monotonic clock. Infinity: not known. */
  readonly until: number
  /** May its statement take the proof with it? Then any connection will do that is not known to be dead. */
  readonly mayRide?: (() => boolean) | undefined
  /** Runs what concerns the caller in its own async context. */
  run?: RunInContext
  /** It is for a statement of the pool's own, which gives the client back by itself, and shows it to nobody. */
  readonly isOwn?: boolean | undefined
}

/** A caller who begins to wait now. */
export function createWaiter(clock: Clock, callback: ConnectCallback, { mayRide, isOwn }: Pick<Waiter, 'mayRide' | 'isOwn'> = {}): Waiter {
  const since = clock.mono()
  const invocation = currentInvocation()
  return { callback, since, mayRide, isOwn, until: invocation ? since + invocation.deadlineAt - clock.wall() : Number.POSITIVE_INFINITY }
}

/** What a waiting room needs of its pool. */
export interface WaitingHost {
  readonly clock: Clock
  /** Everybody who waits, in the order of their coming: pg-pool's own list. */
  queue(): Waiter[]
  /** How long anybody may wait. Infinity: for ever. */
  patienceMillis(): number
  /** What to tell somebody whose time is up. `isOver`: his invocation's is. */
  timeUp(waitedMillis: number, isOver: boolean): Error
}

export class WaitingRoom {
  readonly #host: WaitingHost
  #alarm: Deadline | undefined
  #alarmAt = Number.POSITIVE_INFINITY

  constructor(host: WaitingHost) {
    this.#host = host
  }

  /** Has somebody lost interest before he began to wait? Then he is told, and the answer is no. Whoever does later leaves the queue. */
  mayWait(waiter: Waiter, options: ConnectOptions | undefined): boolean {
    const { callback } = waiter
    let bounds: Bounds | undefined
    let over: Error | undefined
    try {
      bounds = options && { timeoutMillis: 0, signal: checkSignal(checkConnectOptions(options).signal) }
      over = bounds && interruptedBefore(bounds)
    } catch (error) {
      over = error as Error
    }
    if (over) {
      const reason = over
      nextTick(() => callback(reason, undefined, () => {}))
      return false
    }
    if (bounds?.signal) {
      const lift = bound(this.#host.clock, bounds, (reason) => {
        this.leave(waiter)
        callback(reason, undefined, () => {})
      })
      waiter.callback = (error, client, release) => {
        lift()
        callback(error, client, release)
      }
    }
    return true
  }

  /** Somebody waits no more, and is told nothing. */
  leave(waiter: Waiter): void {
    const index = this.#host.queue().indexOf(waiter)
    if (index !== -1) this.#host.queue().splice(index, 1)
  }

  /** How long the first in the queue waits in all. Undefined: nobody waits. */
  firstWaitMillis(): number | undefined {
    const first = this.#host.queue()[0]
    return first && this.#dueAt(first) - first.since
  }

  #dueAt({ since, until }: Waiter): number {
    return Math.min(since + this.#host.patienceMillis(), until)
  }

  /** Rejects everybody whose time is up. */
  giveUp(): void {
    const now = this.#host.clock.mono()
    const queue = this.#host.queue()
    // The time for which the process was frozen is nobody's fault, and was nobody's chance.
    const due = this.#alarmAt
    const late = now - due
    if (late > LATE_MILLIS) {
      for (const waiter of queue) if (waiter.since < due) waiter.since += late
      this.#alarmAt = now
    }
    // Not in the order of their coming: each may belong to another invocation.
    for (const waiter of queue.filter((one) => this.#dueAt(one) <= now)) {
      queue.splice(queue.indexOf(waiter), 1)
      this.reject(waiter, this.#host.timeUp(now - waiter.since, waiter.until <= now))
    }
  }

  /** One timer for all who wait. It costs the hot path nothing: nobody waits there. */
  setAlarm(): void {
    const queue = this.#host.queue()
    const last = queue.at(-1)
    if (!last || (this.#alarm && this.#dueAt(last) >= this.#alarmAt)) return
    const earliest = queue.reduce((least, waiter) => Math.min(least, this.#dueAt(waiter)), Number.POSITIVE_INFINITY)
    if (earliest === Number.POSITIVE_INFINITY) return
    this.#alarm?.cancel()
    const now = this.#host.clock.mono()
    this.#alarmAt = Math.max(now, earliest)
    const ring = () => {
      this.#alarm = undefined
      this.giveUp()
      this.#alarmAt = Number.POSITIVE_INFINITY
      this.setAlarm()
    }
    this.#alarm = startDeadline(this.#host.clock, this.#alarmAt - now, ring, true)
  }

  /** Sends everybody away with the same error. */
  clear(error: Error): void {
    for (const waiter of this.#host.queue().splice(0)) this.reject(waiter, error)
  }

  /** In the next tick: a callback that throws must not take the others with it. */
  reject(waiter: Waiter | undefined, error: Error): void {
    if (waiter) nextTick(() => waiter.callback(error, undefined, () => {}))
  }

  /** Stops the timer. */
  close(): void {
    this.#alarm?.cancel()
  }
}
