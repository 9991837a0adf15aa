/**
 * Handing idle connections to who waits. Whoever is handed the client himself gets it by pg-pool's ceremony: two events, a guard against double
 * release, a listener taken off and put back. A statement of the pool's own hands it to nobody, and goes without where nobody watches.
 */

import type { Events, Reading } from '@thaw/core'
import type { Door } from './door.ts'
import type { IdleTimer } from './idle-timer.ts'
import type { InFlightWatch } from './in-flight-watch.ts'
import type { ConnectCallback, IdleItem, IdleListener, PeerClient, PeerPool, PendingItem } from './peer.ts'
import { tellAcquired } from './tell.ts'
import { isBroken, type Vitals } from './vitals.ts'
import type { Waiter } from './waiting-room.ts'
import { isBusy } from './when-finished.ts'

/** What lending needs of its pool. */
export interface LendingHost {
  readonly pool: PeerPool<Waiter>
  readonly door: Door
  readonly events: Events
  readonly watch: InFlightWatch
  readonly idleTimer: IdleTimer
  /** There is one idle client more: those who wait may be served. */
  serve(now: Reading): void
  /** Is there one connection too many? */
  isOverfull(): boolean
}

export class Lending {
  readonly #host: LendingHost

  constructor(host: LendingHost) {
    this.#host = host
  }

  /** A new client: what its pool's own statements need, to borrow it often. Returns the listener to use in place of pg-pool's. */
  adopt(client: PeerClient, idleListener: IdleListener): IdleListener {
    const { door, watch } = this.#host
    const vitals = door.vitalsOf(client)
    watch.start()
    // It stays where it is while a statement of the pool's own runs, whose failure is told to the caller, not to the pool.
    const listener: IdleListener = (error) => {
      if (!vitals.isPoolQuery) idleListener(error)
    }
    const item: IdleItem = { client, idleListener: listener, timeoutId: undefined }
    vitals.giveBack = (error) => this.#giveBack(item, vitals, error)
    client.off('error', idleListener)
    client.on('error', listener)
    return listener
  }

  /** Lends what may be lent unasked, and has the rest looked at. `releasedAt`: the clocks, where they were read in this very turn. */
  lendIdle(releasedAt: Reading | undefined): void {
    const { pool, door } = this.#host
    const { _pendingQueue, _idle } = pool
    if (_idle.length === 0) return
    const now = door.look(undefined, releasedAt)
    while (_pendingQueue.length > 0) {
      const item = door.takeTrusted(now)
      const waiter = item && _pendingQueue.shift()
      if (!waiter) break
      this.#lend(item, waiter)
    }
    if (_pendingQueue.length > 0 && _idle.length > 0) door.vet()
  }

  /** As `connect` and its tick would, where that has nothing to do but to take the newest. For a statement of the pool's own. */
  lendNow(callback: ConnectCallback): boolean {
    const { pool, door } = this.#host
    const item = pool._idle.length > 0 ? door.takeTrusted(door.look()) : undefined
    if (item) this.#lend(item, { callback, isOwn: true })
    return item !== undefined
  }

  /** Lends the unproven client to whoever is so far behind the first in the queue, if his statement takes the question with it. */
  lendToRider(client: PeerClient, place: number): boolean {
    const { pool, door } = this.#host
    const { _pendingQueue, _idle } = pool
    const index = _idle.findIndex((one) => one.client === client)
    const waiter = _pendingQueue[place]
    if (index === -1 || !waiter?.mayRide?.()) return false
    _pendingQueue.splice(place, 1)
    door.vitalsOf(client).rides = true
    for (const item of _idle.splice(index, 1)) this.#lend(item, waiter)
    return true
  }

  #lend({ client, timeoutId, idleListener }: IdleItem, waiter: PendingItem & Pick<Waiter, 'isOwn'>): void {
    const { pool, door, events, watch } = this.#host
    const vitals = door.vitalsOf(client)
    tellAcquired(events, vitals.rides ? 'ridden' : vitals.probed ? 'probed' : 'trusted')
    vitals.probed = false
    watch.start()
    if (waiter.isOwn && vitals.giveBack && isPlain(pool)) {
      vitals.lent = true
      vitals.isPoolQuery = true
      return waiter.callback(undefined, client, vitals.giveBack)
    }
    clearTimeout(timeoutId)
    client.ref?.()
    pool._acquireClient(client, waiter, idleListener, false)
  }

  /** Whatever is out of the ordinary goes the way of every other client. */
  #giveBack(item: IdleItem, vitals: Vitals, error: Error | boolean | undefined): void {
    const { pool, idleTimer } = this.#host
    const { client, idleListener } = item
    const isIdle = !error && vitals.status === 'I' && !isBusy(client) && !isBroken(client)
    if (!isIdle || pool.ending || !isPlain(pool) || this.#host.isOverfull()) {
      client.off('error', idleListener)
      return pool._release(client, idleListener, error)
    }
    vitals.lent = false
    vitals.isPoolQuery = false
    vitals.idleSince = vitals.provenAt
    pool._idle.push(item)
    if (pool._pendingQueue.length > 0) this.#host.serve(vitals.idleSince)
    idleTimer.start()
  }
}

/** As pg-pool keeps them. They can be changed while the pool is in use. */
interface LoanOptions {
  readonly maxUses?: number
  readonly maxLifetimeSeconds?: number
  readonly allowExitOnIdle?: boolean
  readonly log?: unknown
}

/** Does pg-pool nothing for a loan but to tell of it, and is nobody there to be told? */
function isPlain(pool: PeerPool<Waiter>): boolean {
  const { maxUses, maxLifetimeSeconds, allowExitOnIdle, log } = pool.options as LoanOptions
  const keeps = maxUses === Number.POSITIVE_INFINITY && !maxLifetimeSeconds && !allowExitOnIdle
  return keeps && !log && pool.listenerCount('acquire') === 0 && pool.listenerCount('release') === 0
}
