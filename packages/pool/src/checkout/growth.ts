/**
 * On a function platform a pool has few connections by default: one on Lambda. A caller that holds one and asks for another, as when the
 * pool is used inside a transaction, would wait for itself. Such a pool gets one more connection, unless its user has set how many it may
 * have.
 */

import { type Clock, type Deadline, growth, type InUseCounts, startDeadline, waitsForItself } from '@thaw/core'
import { isBusy } from '../connection/when-finished.ts'
import { activeQueryOf, isRestingCursor, type PeerClient, type PeerPool, type PendingItem } from '../driver/peer.ts'
import type { Settings } from '../options/options.ts'

/** Between two looks. */
const LOOK_MILLIS = 25

export class Growth {
  readonly #pool: PeerPool<PendingItem>
  readonly #clock: Clock
  readonly #mostConnections: number
  /** Is it in use by a statement of the pool's own, which releases it by itself? */
  readonly #isPoolQuery: (client: PeerClient) => boolean
  #nextLook: Deadline | undefined
  /** The first waiting caller at the last look, and for how many looks it has been first. */
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

  /** Connections held by a caller that runs nothing on them. */
  get atRest(): number {
    return this.#counts.resting
  }

  get #counts(): InUseCounts {
    const { _clients, _idle } = this.#pool
    const isIdle = (client: PeerClient) => _idle.some((item) => item.client === client)
    const resting = _clients.filter((client) => isAtRest(client) && !this.#isPoolQuery(client) && !isIdle(client))
    return { resting: resting.length, total: _clients.length }
  }

  /** A caller is still waiting. Checks now and then whether the pool is waiting for itself. */
  watch(wasHeldAtRest: boolean = false): void {
    const { _pendingQueue, _clients, options, ending } = this.#pool
    if (this.#nextLook || _pendingQueue.length === 0 || _clients.length < options.max) return
    if (options.max >= this.#mostConnections || ending) return
    const [first] = _pendingQueue
    this.#looks = first === this.#first ? this.#looks + 1 : 0
    this.#first = first
    const counts = this.#counts
    const more = growth({ ...counts, waiting: _pendingQueue.length, looks: this.#looks, wasHeldAtRest })
    if (more > 0) return this.#grow(more)
    const look = () => {
      this.#nextLook = undefined
      this.watch(waitsForItself(counts))
    }
    this.#nextLook = startDeadline(this.#clock, LOOK_MILLIS, look, true)
  }

  stop(): void {
    this.#nextLook?.cancel()
    this.#nextLook = undefined
  }

  /** For good: a handler does the same in each invocation, and should neither wait nor connect again in each. */
  #grow(more: number): void {
    const { options } = this.#pool
    this.#first = undefined
    options.max = Math.min(this.#mostConnections, options.max + more)
    this.#pool._pulseQueue()
  }
}

/** It is open and runs no statement, or only a cursor that waits until its reader wants more rows. */
function isAtRest(client: PeerClient): boolean {
  return (client.readyForQuery === true && !isBusy(client)) || isRestingCursor(activeQueryOf(client))
}
