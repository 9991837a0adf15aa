/**
 * Hands idle connections to waiting callers. A caller that gets the client itself gets it as in pg-pool: with two events, and a guard
 * against double release. A statement of the pool's own does not expose the client, and skips both unless there are listeners.
 */

import { bindInvocation, type Events, POOL_USES, type Reading, resumeInvocation } from '@thaw/core'
import { RELEASED_TWICE } from '../connection/client-messages.ts'
import { enter } from '../connection/connection-state.ts'
import { isBroken, type Vitals } from '../connection/vitals.ts'
import { isBusy } from '../connection/when-finished.ts'
import { runIn } from '../driver/async-context.ts'
import { noteCaller } from '../driver/listener-context.ts'
import type { ConnectCallback, IdleItem, PeerClient, PeerPool, PendingItem } from '../driver/peer.ts'
import { callBack, type Waiter } from '../driver/waiter.ts'
import type { InFlightWatch } from '../inquiry/in-flight-watch.ts'
import { emitAcquired, emitReleased } from './emit.ts'
import type { HealthChecks } from './health-checks.ts'
import type { IdleTimer } from './idle-timer.ts'

/** pg-pool's undocumented option: may refuse each new connection. */
interface VerifyOptions {
  readonly verify?: (client: PeerClient, done: (error?: Error) => void) => void
}

export interface CheckoutHost {
  readonly pool: PeerPool<Waiter>
  readonly checks: HealthChecks
  readonly events: Events
  readonly watch: InFlightWatch
  readonly idleTimer: IdleTimer
  /** There is one more idle client: waiting callers may be served. */
  serve(now: Reading): void
  /** Is there one connection too many? */
  isOverfull(): boolean
  /** The caller that acquired the client gives it back. */
  release(client: PeerClient, error: Error | boolean | undefined): void
  /** Takes a new connection for which no caller waits any more. */
  keep(client: PeerClient, error: Error | boolean | undefined): void
}

export class Checkout {
  readonly #host: CheckoutHost

  constructor(host: CheckoutHost) {
    this.#host = host
  }

  /** A new connection is open. What its `connect` listeners do to it is not yet its caller's doing. */
  handNew(client: PeerClient, item: PendingItem): void {
    const { pool, checks, watch } = this.#host
    const vitals = checks.vitalsOf(client)
    watch.start()
    vitals.giveBack = (error) => this.#giveBack(client, vitals, error)
    const { membership } = checks
    pool[POOL_USES]?.opened(client)
    const tell = () => void pool.emit('connect', client)
    // It may be another's by the time that the caller for whom it was opened has hung up: what is set here is no part of an invocation.
    resumeInvocation(undefined, () =>
      membership && pool.listenerCount('connect') > 0 ? membership.listeners.listen(client, tell) : tell(),
    )
    const { verify } = pool.options as VerifyOptions
    if (!verify) return this.hand(client, item, pool._pendingQueue.length > 0)
    const checked: PendingItem = {
      callback: (_, one, release) => {
        let isVerified = false
        // It runs outside of the caller's invocation, as it is the pool's own; what it calls back is the caller's.
        const verified = bindInvocation((error?: Error) => {
          // It may call back twice.
          if (isVerified) return
          isVerified = true
          if (error) release(error)
          item.callback(error, error ? undefined : one, error ? () => {} : release)
        })
        try {
          resumeInvocation(undefined, () => verify(client, verified))
        } catch (error) {
          if (isVerified) throw error
          verified(error as Error)
        }
      },
    }
    this.hand(client, checked)
  }

  /** The client itself goes to a caller. `isWanted`: false for a new one if every caller was served meanwhile; then none acquires it. */
  hand(client: PeerClient, item: PendingItem, isWanted = true): void {
    const { pool, checks } = this.#host
    const vitals = checks.vitalsOf(client)
    const index = pool._idle.findIndex((idle) => idle.client === client)
    if (index !== -1) pool._idle.splice(index, 1)
    let isReleased = false
    client.release = (error?: Error | boolean) => {
      if (isReleased) throw new Error(RELEASED_TWICE)
      isReleased = true
      if (isWanted) this.#host.release(client, error)
      else this.#host.keep(client, error)
    }
    const { release } = client
    enter(client, vitals, 'in use')
    if (isWanted) pool[POOL_USES]?.acquired(client)
    if (isWanted) pool.emit('acquire', client)
    callBack(item, undefined, client, release)
  }

  /** Hands out what may be handed out without a probe, and has the rest checked. `releasedAt`: the clocks, if they were read in this very turn. */
  serveIdle(releasedAt: Reading | undefined): void {
    const { pool, checks } = this.#host
    const { _pendingQueue, _idle } = pool
    if (_idle.length === 0) return
    const now = checks.look(undefined, releasedAt)
    while (_pendingQueue.length > 0) {
      const item = checks.takeTrusted(now)
      if (!item) break
      const waiter = _pendingQueue.shift()
      // The caller that waited was served while others were evicted.
      if (!waiter) _idle.push(item)
      if (!waiter || !this.#handOut(item, waiter)) break
    }
    if (_pendingQueue.length > 0 && _idle.length > 0) checks.vet()
  }

  /** As `connect` and its tick would do if there is nothing to do but to take the newest. For a statement of the pool's own, which may `join` others instead. */
  takeNow(callback: ConnectCallback, join: (() => boolean) | undefined): boolean {
    const { pool, checks } = this.#host
    noteCaller()
    if (pool._idle.length === 0) return false
    if (join?.()) return true
    const item = checks.takeTrusted(checks.look())
    if (item) this.#handOut(item, { callback, isOwn: true })
    return item !== undefined
  }

  /** Hands the unchecked client to the caller at this place in the queue, if its statement carries a probe. */
  handOutForPiggyback(client: PeerClient, place: number): boolean {
    const { pool, checks } = this.#host
    const { _pendingQueue, _idle } = pool
    const index = _idle.findIndex((one) => one.client === client)
    const waiter = _pendingQueue[place]
    // A listener of `acquire` may send something before the statement, on a connection that has not been checked yet.
    if (index === -1 || pool.listenerCount('acquire') > 0 || !waiter?.mayPiggyback?.()) return false
    _pendingQueue.splice(place, 1)
    const vitals = checks.vitalsOf(client)
    vitals.piggybacks = true
    const isLent = _idle.splice(index, 1).every((item) => this.#handOut(item, waiter))
    if (!isLent) vitals.piggybacks = false
    return isLent
  }

  /**
   * Hands it to the caller, which has left the queue as the client has left the idle list. False: both are back there, and the connection needs
   * a probe.
   */
  #handOut(item: IdleItem, waiter: PendingItem & Partial<Pick<Waiter, 'isOwn' | 'context' | 'since'>>): boolean {
    const { pool, checks, events, watch } = this.#host
    const { client } = item
    const vitals = checks.vitalsOf(client)
    if (checks.membership && !waiter.isOwn && !checks.membership.hold(client, vitals)) {
      pool._idle.push(item)
      pool._pendingQueue.unshift(waiter as Waiter)
      return false
    }
    const how = vitals.piggybacks ? 'piggybacked' : vitals.probed ? 'probed' : 'trusted'
    vitals.probed = false
    watch.start()
    if (waiter.isOwn && vitals.giveBack && isPlain(pool) && enter(client, vitals, 'in use')) {
      vitals.isPoolQuery = true
      emitAcquired(events, how, vitals, checks.clock, waiter.since)
      const uses = pool[POOL_USES]
      if (uses) runIn(waiter.context, () => uses.acquired(client))
      callBack(waiter, undefined, client, vitals.giveBack)
      return true
    }
    emitAcquired(events, how, vitals, checks.clock, waiter.since)
    client.ref?.()
    // Listeners of `acquire` belong to the request whose client it is.
    const { context } = waiter
    if (context) context.runInAsyncScope(() => this.hand(client, { callback: waiter.callback }), undefined)
    else this.hand(client, waiter)
    return true
  }

  /** Everything out of the ordinary takes the way of every other client. */
  #giveBack(client: PeerClient, vitals: Vitals, error: Error | boolean | undefined): void {
    const { pool, checks, events, idleTimer } = this.#host
    const isQuiet = !error && vitals.status === 'I' && !isBusy(client) && !isBroken(client)
    const item = vitals.item
    if (
      !isQuiet ||
      !item ||
      checks.membership?.turns.isOver(vitals) ||
      pool.ending ||
      !isPlain(pool) ||
      this.#host.isOverfull() ||
      !enter(client, vitals, 'idle')
    )
      return this.#host.release(client, error)
    emitReleased(events, client, vitals, checks.clock)
    vitals.isPoolQuery = false
    vitals.idleSince = vitals.provenAt
    pool._idle.push(item)
    pool[POOL_USES]?.released(client)
    if (pool._pendingQueue.length === 0) this.#host.checks.membership?.rest(client, vitals)
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

/** Does pg-pool do nothing on acquire but emit an event, and is there no listener for it? */
function isPlain(pool: PeerPool<Waiter>): boolean {
  const { maxUses, maxLifetimeSeconds, allowExitOnIdle, log } = pool.options as LoanOptions
  const keeps = maxUses === Number.POSITIVE_INFINITY && !maxLifetimeSeconds && !allowExitOnIdle
  return keeps && !log && pool.listenerCount('acquire') === 0 && pool.listenerCount('release') === 0
}
