/**
 * A pool on a function has few connections by default: one on Lambda. A caller that holds one and asks for another, as a transaction does in which somebody
 * uses the pool, would wait for itself. Such a pool gets one connection more, as long as its user has not said how many it may have.
 */

import { type Clock, type Deadline, startDeadline, waitsForItself } from '@thaw/core'
import { isBusy } from '../connection/when-finished.ts'
import { activeQueryOf, isRestingCursor, type PeerClient, type PeerPool, type PendingItem } from '../driver/peer.ts'
import type { Settings } from '../options/options.ts'

/** Between two looks. A holder that goes on to its next statement has sent it by then; one that waits for us has not. */
const LOOK_MILLIS = 25
/**
 * A second in which nothing came back to the first who waits. A holder may wait for him although its connection is at work: in COPY, behind another holder's
 * lock, asking again and again. Looks are counted, not time, of which a frozen process loses any amount.
 */
const MOST_LOOKS = 40

export class Growth {
  readonly #pool: PeerPool<PendingItem>
  readonly #clock: Clock
  readonly #mostConnections: number
  /** Is it lent to a statement of the pool's own, which gives it back by itself? */
  readonly #isPoolQuery: (client: PeerClient) => boolean
  #nextLook: Deadline | undefined
  /** The first who waited at the last look, and for how many looks it has been the first. */
  #first: PendingItem | undefined
  #looks = 0

  constructor(
    pool: PeerPool<PendingItem>,
    { clock, mostConnections }: Pick<Settings, 'clock' | 'mostConnections'>,
    isPoolQuery: (client: PeerClient) => boolean,
  ) {
    this.#isPoolQuery = isPoolQuery
    this.#pool = pool
    this.#clock = clock
    this.#mostConnections = mostConnections
  }

  /** Is every connection held by a caller that runs nothing on it? Then whoever waits may be waited for by a holder. */
  get isHeldAtRest(): boolean {
    const { _clients, _idle } = this.#pool
    const isIdle = (client: PeerClient) => _idle.some((item) => item.client === client)
    const resting = _clients.filter((client) => isAtRest(client) && !this.#isPoolQuery(client) && !isIdle(client))
    return waitsForItself({ resting: resting.length, total: _clients.length })
  }

  /** Somebody still waits. Looks now and then whether it is for himself. */
  watch(wasHeldAtRest: boolean = false): void {
    const { _pendingQueue, _clients, options, ending } = this.#pool
    if (this.#nextLook || _pendingQueue.length === 0 || _clients.length < options.max) return
    if (options.max >= this.#mostConnections || ending) return
    const isHeld = this.isHeldAtRest
    if ((isHeld && wasHeldAtRest) || this.#isStuck(_pendingQueue[0])) return this.#grow()
    const look = () => {
      this.#nextLook = undefined
      this.watch(isHeld)
    }
    this.#nextLook = startDeadline(this.#clock, LOOK_MILLIS, look, true)
  }

  #isStuck(first: PendingItem | undefined): boolean {
    this.#looks = first === this.#first ? this.#looks + 1 : 0
    this.#first = first
    return this.#looks >= MOST_LOOKS
  }

  stop(): void {
    this.#nextLook?.cancel()
    this.#nextLook = undefined
  }

  /** For good: a handler does the same in each invocation, and should not wait, nor dial, in each. */
  #grow(): void {
    this.#first = undefined
    this.#pool.options.max++
    this.#pool._pulseQueue()
  }
}

/** It is open and runs no statement, or only a cursor that waits until its reader wants more rows. */
function isAtRest(client: PeerClient): boolean {
  return (client.readyForQuery === true && !isBusy(client)) || isRestingCursor(activeQueryOf(client))
}
