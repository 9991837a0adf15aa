/** The wait queue: how long each caller may still wait, and which are rejected because their time is up. */

import {
  type Clock,
  chargedSince,
  currentInvocation,
  type DeadlineError,
  LOOK_MILLIS,
  pollSockets,
  type Reading,
  read,
  type Timer,
} from '@thaw/core'
import { type Bounds, bound, checkSignal, interruptedBefore } from '../connection/interruption.ts'
import { keepContext } from '../driver/async-context.ts'
import { noteCaller } from '../driver/listener-context.ts'
import { nextTick } from '../driver/next-tick.ts'
import type { ConnectCallback } from '../driver/peer.ts'
import { callBack, type Waiter } from '../driver/waiter.ts'
import { type ConnectOptions, checkConnectOptions } from '../options/options.ts'
import { acquires, type CountedPool, traceAcquire } from './traced-acquire.ts'

/** What else is known of a caller. `told`: the pool that it waits for, if the wait is to be published. */
interface WaiterOptions extends Pick<Waiter, 'mayPiggyback' | 'isOwn' | 'share' | 'place'> {
  readonly told?: CountedPool | undefined
}

export function createWaiter(clock: Clock, callback: ConnectCallback, { told, ...rest }: WaiterOptions = {}): Waiter {
  // What is done for the caller from here on is done inside the wait.
  if (told && acquires.isHeard) return traceAcquire(told, callback, (traced) => createWaiter(clock, traced, rest))
  const { mayPiggyback, isOwn, share, place } = rest
  noteCaller()
  const invocation = currentInvocation()
  const until = invocation?.deadlineAt ?? Number.POSITIVE_INFINITY
  const context = keepContext()
  return { callback, context, since: clock.mono(), mayPiggyback, isOwn, share, place, until, signal: invocation?.signal, lift: undefined }
}

export interface WaitQueueHost {
  readonly clock: Clock
  /** Every waiting caller, in order of arrival: pg-pool's own list. */
  queue(): Waiter[]
  /** How long a caller may wait. Infinity: forever. */
  waitLimitMillis(): number
  /** The error for a caller whose time is up. `isOver`: its invocation's is. */
  timeUp(waitedMillis: number, isOver: boolean): Error
  /** A caller has left without a connection. */
  left(): void
}

export class WaitQueue {
  readonly #host: WaitQueueHost
  #alarm: Timer | undefined
  /** When the timer fires, on the monotonic clock. */
  #ringsAt = 0
  #lookedAt = 0
  /** The last caller for which the timer was set. */
  #newest: Waiter | undefined

  constructor(host: WaitQueueHost) {
    this.#host = host
  }

  get length(): number {
    return this.#host.queue().length
  }

  get limitMillis(): number {
    return this.#host.waitLimitMillis()
  }

  /** For a caller that waits elsewhere, behind what is under way on a shared connection. */
  timeUp(waitedMillis: number): Error {
    return this.#host.timeUp(waitedMillis, false)
  }

  /**
   * Has the caller aborted before it began to wait, or the client of its invocation hung up? Then it is rejected, and the answer is no. If that happens later,
   * it leaves the queue.
   */
  mayWait(waiter: Waiter, options: ConnectOptions | undefined): boolean {
    return (!options && !waiter.signal) || this.#bind(waiter, options)
  }

  #bind(waiter: Waiter, options: ConnectOptions | undefined): boolean {
    const { callback } = waiter
    let bounds: Bounds | undefined
    let over: Error | undefined
    try {
      bounds = { timeoutMillis: 0, signal: options && checkSignal(checkConnectOptions(options).signal) }
      over = interruptedBefore(bounds)
    } catch (error) {
      over = error as Error
    }
    if (over) {
      const reason = over
      nextTick(() => callback(reason, undefined, () => {}))
      return false
    }
    if (bounds?.signal || waiter.signal) {
      let isTold = false
      const lift = bound(this.#host.clock, bounds as Bounds, (reason) => {
        isTold = true
        const { mono } = this.#look()
        this.leave(waiter)
        // At its deadline the queue's own timer may be first: both say the same.
        const isOver = waiter.until !== Number.POSITIVE_INFINITY && (reason as Partial<DeadlineError>).kind === 'deadline'
        const error = isOver ? this.#host.timeUp(mono - waiter.since, true) : reason
        callBack({ callback, context: waiter.context }, error, undefined, () => {})
      })
      waiter.lift = lift
      waiter.callback = (error, client, release) => {
        lift()
        // A caller that has already left the queue, and is called back in the next tick or once its client is verified, can still be
        // interrupted: it is called back once.
        if (!isTold) callback(error, client, release)
        else if (client) release()
      }
    }
    return true
  }

  join(waiter: Waiter): void {
    const queue = this.#host.queue()
    const { place } = waiter
    const index = place === undefined ? -1 : queue.findIndex((other) => (other.place ?? other.since) > place)
    if (index === -1) queue.push(waiter)
    else queue.splice(index, 0, waiter)
  }

  /** Removes a caller from the queue without calling it back. */
  leave(waiter: Waiter): void {
    waiter.lift?.()
    const index = this.#host.queue().indexOf(waiter)
    if (index === -1) return
    this.#host.queue().splice(index, 1)
    this.#host.left()
  }

  /** How long the first caller in the queue waits in total. Undefined: no caller waits. */
  firstWaitMillis(): number | undefined {
    const first = this.#host.queue()[0]
    if (!first) return undefined
    const now = read(this.#host.clock)
    return now.mono - first.since + this.#leftMillis(first, now)
  }

  #leftMillis({ since, until }: Waiter, { mono, wall }: Reading): number {
    return Math.min(since + this.#host.waitLimitMillis() - mono, until - wall)
  }

  /**
   * Reads the clocks. The time for which the process was frozen since the last look counts against no caller, because nothing could be done
   * in it.
   */
  #look(): Reading {
    const now = read(this.#host.clock)
    for (const waiter of this.#host.queue())
      waiter.since = chargedSince(waiter.since, this.#lookedAt, now.mono, this.#host.waitLimitMillis())
    this.#lookedAt = now.mono
    return now
  }

  giveUp(): void {
    const now = this.#look()
    const queue = this.#host.queue()
    // Not in order of arrival: each may belong to another invocation.
    for (const waiter of queue.filter((one) => this.#leftMillis(one, now) <= 0)) {
      queue.splice(queue.indexOf(waiter), 1)
      this.reject(waiter, this.#host.timeUp(now.mono - waiter.since, waiter.until <= now.wall))
      this.#host.left()
    }
  }

  /** One timer for all waiting callers. It costs the hot path nothing: no caller waits there. */
  setAlarm(): void {
    const { clock, queue } = this.#host
    const last = queue().at(-1)
    // Called for each release: the clocks are read once for each caller that begins to wait.
    const isKnown = last === undefined || (this.#alarm !== undefined && last === this.#newest)
    // Not beyond its wait: its async context would count as an open handle.
    this.#newest = last
    if (isKnown) return
    // It fires soon enough for every caller that has longer left than the time between two looks.
    if (this.#alarm !== undefined && last.until === Number.POSITIVE_INFINITY && this.#host.waitLimitMillis() > LOOK_MILLIS) return
    const now = read(clock)
    if (this.#alarm !== undefined) {
      if (now.mono + this.#leftMillis(last, now) >= this.#ringsAt) return
      clock.clearTimer(this.#alarm)
    } else this.#look()
    const least = queue().reduce((millis, waiter) => Math.min(millis, this.#leftMillis(waiter, now)), LOOK_MILLIS)
    const millis = Math.max(0, least)
    this.#ringsAt = now.mono + millis
    this.#alarm = clock.setTimer(() => this.#ring(), millis, true)
  }

  #ring(): void {
    this.#alarm = undefined
    const now = this.#look()
    if (!this.#host.queue().some((waiter) => this.#leftMillis(waiter, now) <= 0)) return this.setAlarm()
    // After a freeze a timer runs before the data that arrived meanwhile, see `startDeadline`.
    pollSockets(this.#host.clock, () => {
      this.giveUp()
      this.setAlarm()
    })
  }

  /** Rejects every caller with the same error. */
  clear(error: Error): void {
    for (const waiter of this.#host.queue().splice(0)) this.reject(waiter, error)
  }

  /** In the next tick: it is not called before all that are due have left the queue. */
  reject(waiter: Waiter | undefined, error: Error): void {
    if (waiter) nextTick(() => callBack(waiter, error, undefined, () => {}))
  }

  /** Stops the timer. */
  close(): void {
    if (this.#alarm !== undefined) this.#host.clock.clearTimer(this.#alarm)
    this.#alarm = undefined
    this.#newest = undefined
  }
}
