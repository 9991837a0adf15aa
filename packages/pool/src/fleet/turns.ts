/**
 * Taking turns at a full server: where others are refused, a pool gives up a session that it is not using, instead of keeping it
 * until its lease is over. Otherwise runtimes that call often enough would keep the others out for good.
 */

import { type Clock, elapsedMillis, type Reading, read, type Timer, TURN_MILLIS, turnMillis } from '@thaw/core'
import { VITALS, type Vitals } from '../connection/vitals.ts'
import type { PeerPool, PendingItem } from '../driver/peer.ts'

/** A pool that is at work on a crowded server looks more often. After a longer pause, in a frozen process above all, a request has just begun. */
const SLEPT_MILLIS = 5000

export class Turns {
  readonly #clock: Clock
  readonly #pool: PeerPool<PendingItem>
  /** Since when the server is known to be full. Undefined: it is not. */
  #fullSince: Reading | undefined
  #learnedAt: Reading | undefined
  #turnMillis = 0
  /** On the monotonic clock. */
  #gaveUpAt = Number.NEGATIVE_INFINITY
  #timer: Timer | undefined
  #yielded = 0

  constructor(clock: Clock, pool: PeerPool<PendingItem>) {
    this.#clock = clock
    this.#pool = pool
  }

  /** How many sessions were given up. */
  get yielded(): number {
    return this.#yielded
  }

  /** The server has been looked at. `sessions`: how many there may be. */
  learn(isFull: boolean, sessions: number): void {
    const now = read(this.#clock)
    const hasSlept = this.#learnedAt !== undefined && elapsedMillis(this.#learnedAt, now) > SLEPT_MILLIS
    this.#learnedAt = now
    if (!isFull) this.#fullSince = undefined
    else if (hasSlept || this.#fullSince === undefined) this.#fullSince = now
    this.#turnMillis = turnMillis(sessions, this.#clock.random())
    this.rested()
  }

  /**
   * A connection is being released. Is it the turn of others? It may never be idle for long enough to be given up by the timer, and callers of its own may be waiting: they
   * wait for their turn as the others do.
   */
  isOver({ bornAt, fleetName, sessionState }: Vitals): boolean {
    if (this.#fullSince === undefined || fleetName === undefined || sessionState !== 'none') return false
    const now = read(this.#clock)
    return elapsedMillis(bornAt, now) >= this.#turnMillis && elapsedMillis(this.#fullSince, now) >= this.#turnMillis
  }

  /** So it was given up. */
  gaveUp(): void {
    this.#yielded++
    this.#gaveUpAt = this.#clock.mono()
  }

  /** How long its place is left to others, before the pool tries to get it back. */
  get restMillis(): number {
    return this.#gaveUpAt + TURN_MILLIS - this.#clock.mono()
  }

  /** A connection may have become idle. */
  rested(): void {
    if (this.#fullSince === undefined || this.#timer !== undefined || this.#pool._idle.length === 0) return
    const began = read(this.#clock)
    this.#timer = this.#clock.setTimer(() => this.#end(elapsedMillis(began, read(this.#clock))), TURN_MILLIS, true)
  }

  /** If the server is full, gives up the connections that have been idle for at least this long. `isRefusing`: it was full a moment ago, and has not been looked at since. */
  over(leastMillis: number, isRefusing = false): void {
    if ((this.#fullSince === undefined && !isRefusing) || this.#pool._pendingQueue.length > 0) return
    const now = read(this.#clock)
    for (const { client } of [...this.#pool._idle]) {
      const vitals = (client as { [VITALS]?: Vitals })[VITALS]
      // What has not been looked at may still have the name that it logged in with.
      const isOurs = vitals?.fleetName === 'resting' || (isRefusing && vitals?.fleetName === 'held')
      if (!isOurs || vitals.state !== 'idle' || vitals.sessionState !== 'none') continue
      if (elapsedMillis(vitals.idleSince, now) < leastMillis) continue
      this.#yielded++
      this.#pool._remove(client)
    }
  }

  /** Not after a freeze: the request that has ended it is about to use the session, if it is still there. */
  #end(waitedMillis: number): void {
    this.#timer = undefined
    const wasFrozen = waitedMillis > TURN_MILLIS * 3
    if (!wasFrozen) this.over(TURN_MILLIS / 2)
    this.rested()
  }
}
