/**
 * Connections that are released, and those that leave the pool. Lists and state change first, then listeners are called, and then waiting
 * callers are served: a listener may use the pool, or the client that it is told of.
 */

import { type Events, POOL_USES, pollSockets, type Reading, read } from '@thaw/core'
import { close } from '../connection/closing.ts'
import { enter } from '../connection/connection-state.ts'
import { tellRemoved } from '../connection/traced-client.ts'
import { isBroken, type Vitals } from '../connection/vitals.ts'
import { isBusy, whenQuiet } from '../connection/when-finished.ts'
import type { PeerClient, PeerPool } from '../driver/peer.ts'
import type { Waiter } from '../driver/waiter.ts'
import type { InFlightWatch } from '../inquiry/in-flight-watch.ts'
import type { Settings } from '../options/options.ts'
import { emitReleased } from './emit.ts'
import type { HealthChecks } from './health-checks.ts'

export interface ReturningHost {
  readonly pool: PeerPool<Waiter>
  readonly settings: Settings
  readonly events: Events
  readonly watch: Pick<InFlightWatch, 'start'>
  readonly checks: Pick<HealthChecks, 'vitalsOf' | 'requestCancel' | 'membership'>
  /** Is there one connection too many? */
  isOverfull(): boolean
  /** A write of the caller that releases it now was refused as read-only. */
  refused(client: PeerClient): void
  returned(client: PeerClient): void
  /** There is one more idle connection, since then. */
  isBack(at: Reading): void
}

/** As pg-pool keeps them. They can be changed while the pool is in use. */
interface UseOptions {
  readonly maxUses: number
  readonly allowExitOnIdle?: boolean
}

export class Returning {
  readonly #host: ReturningHost

  constructor(host: ReturningHost) {
    this.#host = host
  }

  /** A caller releases the client. With an error it is closed, as in pg-pool. */
  release(client: PeerClient, error: Error | boolean | undefined): void {
    const { checks } = this.#host
    this.#host.returned(client)
    const vitals = checks.vitalsOf(client)
    this.#given(client, vitals, error)
    if (vitals.refusedWrite && !error) this.#host.refused(client)
    if (!error && vitals.state === 'in use' && isBusy(client) && !isBroken(client)) {
      this.drain(client)
      this.#tell(client, undefined)
    } else this.#putBack(client, vitals, error, () => this.#tell(client, error))
  }

  #tell(client: PeerClient, error: Error | boolean | undefined): void {
    const { pool } = this.#host
    pool[POOL_USES]?.released(client)
    pool.emit('release', error, client)
  }

  /** No caller has the client, but a former caller's statement is on it. The connection serves others once that has ended. */
  drain(client: PeerClient): void {
    const { settings, checks } = this.#host
    const vitals = checks.vitalsOf(client)
    this.#leaveIdle(client)
    vitals.isPoolQuery = false
    if (!enter(client, vitals, 'draining')) return this.remove(client)
    this.#host.watch.start()
    whenQuiet(client, settings, (isQuiet) => this.#putBack(client, vitals, isQuiet ? undefined : true))
  }

  /** A new connection for which no caller waits any more. */
  keep(client: PeerClient, error: Error | boolean | undefined): void {
    this.#putBack(client, this.#host.checks.vitalsOf(client), error)
  }

  /** An idle connection has died: no caller has it, so the pool's listeners are called. */
  died(client: PeerClient, error: Error & { client?: PeerClient }): void {
    error.client = client
    this.remove(client)
    this.#host.pool.emit('error', error, client)
  }

  /** Its place in the pool is free, whether or not its holder ever gives it back. */
  takeBack(client: PeerClient): void {
    // The holder, who hears of it now, gets the chance to give it back in the ordinary way.
    pollSockets(this.#host.settings.clock, () => {
      if (this.#host.checks.vitalsOf(client).inUse) this.remove(client)
    })
  }

  /** Out of the pool, at once: a new caller may open another one meanwhile. Then it is closed, and those who wait are served. Idempotent, unlike pg-pool's: the health check, the socket and the caller may each give it up. */
  remove(client: PeerClient, callback?: () => void): void {
    const { pool, settings, checks } = this.#host
    if (!pool._clients.includes(client)) return callback?.()
    pool._clients = pool._clients.filter((one) => one !== client)
    this.#leaveIdle(client)
    const vitals = checks.vitalsOf(client)
    // A caller that has it closes it, and knows. A former caller whose statement still runs on it does not.
    vitals.isEvicted ||= vitals.state === 'draining' || vitals.state === 'probing'
    enter(client, vitals, 'closed')
    this.#host.returned(client)
    this.#given(client, vitals)
    checks.requestCancel(client)
    tellRemoved(client)
    close(client, settings.clock, () => {
      pool.emit('remove', client)
      callback?.()
      pool._pulseQueue()
    })
  }

  #given(client: PeerClient, vitals: Vitals, error?: Error | boolean): void {
    emitReleased(this.#host.events, client, vitals, this.#host.settings.clock, error)
  }

  #putBack(client: PeerClient, vitals: Vitals, error: Error | boolean | undefined, tell?: () => void): void {
    if (vitals.state === 'in use' || vitals.state === 'draining') this.#settle(client, vitals, error)
    // By a move that is not in the table: its place is free, too.
    else if (vitals.state === 'closed') this.remove(client)
    try {
      tell?.()
    } finally {
      // Where it was removed, those who wait are served when it is closed: the server may have no room for one more before that.
      if (vitals.state === 'idle') this.#host.isBack(vitals.idleSince)
    }
  }

  #settle(client: PeerClient, vitals: Vitals, error: Error | boolean | undefined): void {
    const { pool, settings, checks } = this.#host
    const { maxUses, allowExitOnIdle } = pool.options as unknown as UseOptions
    // A statement of the pool's own is released at the moment when it is answered.
    vitals.idleSince = vitals.isPoolQuery ? vitals.provenAt : read(settings.clock)
    vitals.isPoolQuery = false
    client._poolUseCount = (client._poolUseCount ?? 0) + 1
    const isInTransaction = vitals.status === 'T' || vitals.status === 'E'
    const isExpended = client._poolUseCount >= maxUses
    const isExpired = pool._expired.has(client)
    // pg-pool's own message, which people look for in their logs.
    if (isExpended) pool.log('remove expended client')
    if (isExpired) pool.log('remove expired client')
    // Its caller did not ask for the end, and may have a statement under way on it.
    vitals.isEvicted = !error && isBroken(client)
    if (error || isInTransaction || isExpended || isExpired || pool.ending || isBroken(client) || this.isTooMany(vitals))
      return this.remove(client)
    if (checks.membership?.turns.isOver(vitals)) {
      checks.membership.turns.gaveUp()
      return this.remove(client)
    }
    if (!enter(client, vitals, 'idle')) return this.remove(client)
    if (allowExitOnIdle) client.unref?.()
    vitals.item ??= { client }
    pool._idle.push(vitals.item)
    if (pool._pendingQueue.length === 0) this.#host.checks.membership?.rest(client, vitals)
  }

  /** Is there one connection too many, and is it this one? One that has session state stays, and an idle one goes in its place. */
  isTooMany({ sessionState }: Vitals): boolean {
    const { pool, checks } = this.#host
    if (!this.#host.isOverfull()) return false
    if (sessionState !== 'left') return true
    const other = pool._idle.find((item) => checks.vitalsOf(item.client).sessionState !== 'left')
    if (other) this.remove(other.client)
    return false
  }

  #leaveIdle(client: PeerClient): void {
    const { _idle } = this.#host.pool
    const index = _idle.findIndex((item) => item.client === client)
    if (index !== -1) _idle.splice(index, 1)
  }
}
