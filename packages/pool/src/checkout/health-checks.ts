/**
 * The health checks at acquire: everything that is remembered about connections, and the one place that decides whether an idle one may be handed out. Judges,
 * polls the sockets, probes, and has dead and outdated connections destroyed. It opens no connections.
 */

import {
  type Clock,
  classify,
  codeOf,
  createStatementCache,
  elapsedMillis,
  type FreezeHints,
  type GateVerdict,
  judge,
  pollSockets,
  type Reading,
  read,
  type StaleReason,
  type StatementCache,
  weighFreeze,
} from '@thaw/core'
import { noteGone } from '../connect/host-facts.ts'
import { isPasswordFunctions } from '../connect/password-function.ts'
import { enter } from '../connection/connection-state.ts'
import { isInterruption } from '../connection/interruption.ts'
import type { Loss } from '../connection/lost-statement.ts'
import type { Memory } from '../connection/pool-context.ts'
import { probe } from '../connection/probe.ts'
import type { ScramKeys } from '../connection/scram-keys.ts'
import type { StatementHost } from '../connection/statement-host.ts'
import { standing, VITALS, type Vitals, type VitalsListener, WATCHED, watch } from '../connection/vitals.ts'
import { attach } from '../connection/watched-client.ts'
import { leaveListener } from '../driver/listener-context.ts'
import type { IdleItem, PeerClient, PeerPool } from '../driver/peer.ts'
import { streamOf } from '../driver/socket.ts'
import type { Waiter } from '../driver/waiter.ts'
import type { Membership } from '../fleet/membership.ts'
import type { Settings } from '../options/options.ts'
import { emitOutcome } from './emit.ts'
import type { Hedging } from './hedging.ts'

export interface HealthChecksHost {
  readonly pool: PeerPool<Waiter>
  readonly settings: Settings
  readonly memory: Memory
  readonly hedging: Hedging
  readonly membership: Membership | undefined
  /** After how long an idle connection is too many now. Infinity: never. */
  idleTimeoutMillis(): number
  /** The longest that a connection may live. Infinity: forever. */
  readonly maxLifetimeMillis: number
  /** A statement begins on a client that no caller has: takes it out of the idle list until it is quiet. */
  drain(client: PeerClient): void
  /** An idle connection has died: removes it from the pool, and calls the listeners for the pool's errors. */
  died(client: PeerClient, error: Error): void
  /** The client is about to be closed: asks the server to stop working on its statement, if there is one. */
  requestCancel(client: PeerClient): void
  /** Hands the unchecked client to the caller at this place in the queue, if its statement carries a probe. */
  handOutForPiggyback(client: PeerClient, place: number): boolean
  /** Is there no room for a connection that has replied late, because a new one has won the race? */
  isTooMany(vitals: Vitals): boolean
  /** Something is read, or about to be sent. Has the process stood still? */
  noteStandstill(now: Reading): void
  /** The socket of a client in use has closed. */
  abandoned(client: PeerClient): void
}

/** Each connection gets a random share, between this and all, of the maximal lifetime, so that a pool does not renew all of them at once. */
const LEAST_LIFETIME_SHARE = 0.9

export class HealthChecks implements StatementHost {
  readonly #host: HealthChecksHost
  #generation = 0
  #suspectSince = Number.NEGATIVE_INFINITY
  #lastLook: Reading | undefined
  #isPolling = false
  #justProven: PeerClient | undefined
  readonly #listener: VitalsListener = {
    lost: (client, error) => this.#lost(client, error),
    closed: (client) => {
      if (this.vitalsOf(client).inUse) this.#host.abandoned(client)
    },
  }
  readonly clock: Clock
  readonly probeTimeoutMillis: number
  readonly classify: StatementCache = createStatementCache()
  readonly scramKeys: ScramKeys | undefined
  readonly membership: Membership | undefined
  readonly submitting: StatementHost['submitting']
  readonly ofListener: StatementHost['ofListener']

  constructor(host: HealthChecksHost) {
    this.#host = host
    this.clock = host.settings.clock
    this.probeTimeoutMillis = host.settings.probeTimeoutMillis
    const { membership } = host
    this.membership = membership
    this.submitting = membership && ((client, vitals) => membership.submitting(client, vitals))
    this.ofListener = membership && ((client) => membership.listeners.of(client))
    this.scramKeys = host.settings.cacheScramKeys ? host.memory.scramKeys : undefined
  }

  /** Grows on proof that the server is a different one. */
  get generation(): number {
    return this.#generation
  }

  /** Reads the clocks, and makes every connection suspect if they prove a freeze. A gap that moved both alike shows as silence anyway. */
  look(hints?: FreezeHints, now: Reading = read(this.#host.settings.clock)): Reading {
    const before = this.#lastLook
    this.#host.noteStandstill(now)
    // First, because a listener for the thaw may use the pool, which looks again.
    this.#lastLook = now
    if (before && weighFreeze(before, now, hints) === 'certain') {
      this.#suspectSince = now.mono
      this.#host.memory.events.emit({ type: 'thawed', gapMillis: elapsedMillis(before, now) })
    }
    return now
  }

  /** Takes the newest idle connection that may be handed out without a probe from the list. Those that the gate evicts on the way are destroyed. */
  takeTrusted(now: Reading): IdleItem | undefined {
    const idle = this.#host.pool._idle
    for (let index = idle.length - 1; index >= 0; index--) {
      const item = idle[index]
      if (!item) continue
      const verdict = this.#judge(item.client, now)
      if (verdict === 'trust') return index === idle.length - 1 ? idle.pop() : idle.splice(index, 1)[0]
      if (verdict !== 'probe') this.#destroy(item.client, verdict, now)
    }
    return undefined
  }

  /**
   * An invocation begins: probes the newest idle connection before a caller needs it, unless it is trusted anyway. It is probed at once: a
   * handler that computes before its first statement does not let the event loop turn.
   */
  prepare(hints: FreezeHints): void {
    const now = this.look(hints)
    const newest = this.#host.pool._idle.at(-1)
    const verdict = newest && this.#judge(newest.client, now)
    if (newest && verdict === 'probe') this.#ask(newest.client, now)
    else if (verdict !== 'trust') this.vet(1)
  }

  /** Polls the sockets once for all idle connections, then probes in parallel those that are still open and not trusted: the newest `most`. */
  vet(most: number = Number.POSITIVE_INFINITY): void {
    const isUnderWay = this.#host.pool._idle.every(({ client }) => this.vitalsOf(client).askedAt !== undefined)
    if (this.#isPolling || isUnderWay) return
    this.#isPolling = true
    const idle = this.#host.pool._idle.map(({ client }) => client)
    pollSockets(this.#host.settings.clock, () => {
      this.#isPolling = false
      const now = read(this.#host.settings.clock)
      const suspects: PeerClient[] = []
      for (const { client } of [...this.#host.pool._idle].reverse()) {
        const verdict = this.#judge(client, now)
        if (verdict === 'probe') suspects.push(client)
        else if (verdict !== 'trust') this.#destroy(client, verdict, now)
      }
      const left: PeerClient[] = []
      for (const client of suspects)
        if (!this.#mayPiggyback(client) || !this.#host.handOutForPiggyback(client, left.length)) left.push(client)
      if (most !== Number.POSITIVE_INFINITY || this.#host.pool._pendingQueue.length > 0)
        for (const client of left.slice(0, most)) this.#ask(client, now)
      const dead = idle.filter((client) => this.vitalsOf(client).state === 'closed').length
      this.#host.memory.events.emit({ type: 'socketsPolled', idle: idle.length, dead })
      this.#host.pool._pulseQueue()
    })
  }

  /** Only with PostgreSQL itself, or with a pooler that has not been detected: none of the known ones drops what follows a Flush. */
  #mayPiggyback(client: PeerClient): boolean {
    const isAsked = this.vitalsOf(client).askedAt !== undefined
    // In pipeline mode pg sends by itself.
    const isPlain = WATCHED in client && !client.binary && !client.pipeline
    return this.#host.settings.piggybackProbe && !this.isPooled && !isAsked && isPlain
  }

  /** Something that concerns every connection has happened: each must prove itself before it is handed out again. */
  doubtAll(since: number = this.#host.settings.clock.mono()): void {
    this.#suspectSince = Math.max(this.#suspectSince, since)
  }

  /** A connection attempt has failed, which may say something about the other connections, or about room at the server. */
  dialFailed(error: Error): void {
    if (classify(error)?.siblings === 'suspect' && !isPasswordFunctions(error)) this.doubtAll()
    this.membership?.refused(error, this.#host.pool._idle.at(-1)?.client)
  }

  noteStandstill(now: Reading): void {
    this.#host.noteStandstill(now)
  }

  /** The server is a different one: older connections are of no use. */
  condemnAll(): void {
    this.#generation++
  }

  /** On the monotonic clock. */
  get lookedAt(): number {
    return this.#lastLook?.mono ?? Number.NEGATIVE_INFINITY
  }

  /** Is a connection in use as good as one that is idle and trusted? Nothing has cast doubt on it since the server last spoke. */
  isSound({ generation, isOldNews, provenAt, bornAt, maxAgeMillis }: Vitals, mono: number): boolean {
    return generation >= this.#generation && !isOldNews && provenAt.mono > this.#suspectSince && mono - bornAt.mono <= maxAgeMillis
  }

  /** For a client that its caller has kept, which the gate never sees. */
  mustProve(client: PeerClient): boolean {
    const now = this.look()
    const { isOldNews, provenAt } = this.vitalsOf(client)
    return isOldNews || provenAt.mono <= this.#suspectSince || elapsedMillis(provenAt, now) >= this.#host.settings.trustMillis
  }

  /** Is PostgreSQL itself known to be at the other end? Until it has been detected: no. */
  get isDirect(): boolean {
    return this.#host.memory.isDirect === true
  }

  /** Is a pooler known to be there? Until it has been detected: no. */
  get isPooled(): boolean {
    return this.#host.memory.isDirect === false
  }

  requestCancel(client: PeerClient): void {
    this.#host.requestCancel(client)
  }

  strayed(client: PeerClient): void {
    // A listener of `connect` may have sent it: the caller who gets the client afterwards is not one.
    leaveListener(() => this.#host.drain(client))
  }

  /** One death is evidence about the others. */
  ended(client: PeerClient, error: Error, since: number = this.clock.mono()): void {
    // The pooler would keep its clients, and refuse each.
    if (noteGone(client, error) && this.vitalsOf(client).generation >= this.#generation) this.condemnAll()
    const says = classify(error)
    if (says?.siblings === 'evict') this.#generation++
    else if (says?.siblings !== 'unharmed' && !isInterruption(error)) this.doubtAll(since)
  }

  reported(loss: Loss): void {
    this.tellOutcome(loss, 'reported')
  }

  tellOutcome(loss: Loss, action: 'retried' | 'reported'): void {
    emitOutcome(this.#host.memory.events, loss, action)
  }

  /** The client's record. The first call begins to watch it: make it before the client's first byte. */
  vitalsOf(client: PeerClient): Vitals {
    const known = (client as { [VITALS]?: Vitals })[VITALS]
    if (known) return known
    const { clock } = this.#host.settings
    const share = LEAST_LIFETIME_SHARE + (1 - LEAST_LIFETIME_SHARE) * clock.random()
    const vitals = watch(client, clock, this.#generation, this.#host.maxLifetimeMillis * share, this.#listener)
    attach(client, vitals, this)
    // A pool that was empty opens its first connections without a look at the clocks: a freeze after that has to be noticed, too.
    this.#lastLook ??= vitals.bornAt
    return vitals
  }

  #judge(client: PeerClient, now: Reading): GateVerdict {
    const verdict = judge(standing(client, this.vitalsOf(client), now), {
      generation: this.#generation,
      suspectSince: this.#suspectSince,
      trustMillis: this.#host.settings.trustMillis,
      idleTimeoutMillis: this.#host.idleTimeoutMillis(),
    })
    const isProven = client === this.#justProven
    if (verdict === 'probe' && (isProven || !streamOf(client))) return 'trust'
    // Its membership has judged what has just proven it, and judges again at the moment of the send.
    if (verdict !== 'trust' || isProven) return verdict
    return this.membership?.isOverdue(this.vitalsOf(client), now, this.#host.settings.trustMillis) ? 'probe' : 'trust'
  }

  #ask(client: PeerClient, now: Reading): void {
    const vitals = this.vitalsOf(client)
    if (vitals.askedAt !== undefined) return
    if (!enter(client, vitals, 'probing')) return
    vitals.askedAt = now.mono
    const { settings, memory, hedging } = this.#host
    const silenceMillis = elapsedMillis(vitals.provenAt, now)
    const answered = hedging.watch(client, () => this.#host.pool._pulseQueue())
    probe(client, vitals, settings.clock, settings.probeTimeoutMillis, (alive, broken) => {
      vitals.askedAt = undefined
      if (vitals.state === 'probing') enter(client, vitals, 'idle')
      const then = read(settings.clock)
      const tookMillis = elapsedMillis(now, then)
      answered(alive ? tookMillis : undefined)
      // Siblings that have replied since the probe was sent are above suspicion.
      const isUnanswered = !alive && vitals.state !== 'closed'
      if (isUnanswered) this.doubtAll(now.mono)
      if (isUnanswered) this.#destroy(client, broken ? 'broken' : 'unanswered', then, codeOf(broken))
      memory.events.emit({ type: 'probed', alive, tookMillis, silenceMillis })
      if (!alive || vitals.state !== 'idle') return this.#host.pool._pulseQueue()
      const isCertain = this.membership?.judgeProof(vitals, then) ?? 'in time'
      if (isCertain === 'in time') return this.#proven(client, vitals)
      if (isCertain === 'ask again') return this.#ask(client, then)
      this.#destroy(client, 'unanswered', then)
      this.#host.pool._pulseQueue()
    })
  }

  /** Moves it to the end of the list, as the one of which we know most, and hands it to a waiting caller, however short `trustMillis` is. */
  #proven(client: PeerClient, vitals: Vitals): void {
    // Losing a race is no proof of death: this connection is ended like any other that is too many.
    if (this.#host.isTooMany(vitals)) return this.#host.pool._remove(client)
    vitals.probed = true
    const idle = this.#host.pool._idle
    const index = idle.findIndex((item) => item.client === client)
    if (index !== -1) idle.push(...idle.splice(index, 1))
    this.#justProven = client
    try {
      this.#host.pool._pulseQueue()
    } finally {
      // A caller's callback may have thrown.
      this.#justProven = undefined
    }
  }

  #destroy(client: PeerClient, reason: StaleReason, now: Reading, code?: string): void {
    const silenceMillis = elapsedMillis(this.vitalsOf(client).provenAt, now)
    // Dead or evicted: the server does not read a Terminate.
    if (reason !== 'idle' && reason !== 'lifetime') streamOf(client)?.destroy()
    this.#host.pool._remove(client)
    this.#host.memory.events.emit({ type: 'stale', reason, silenceMillis, ...(code !== undefined && { code }) })
    this.#sessionLost(this.vitalsOf(client))
  }

  #sessionLost(vitals: Vitals): void {
    if (vitals.sessionState !== 'left') return
    vitals.sessionState = 'lost'
    this.#host.memory.events.emit({ type: 'sessionLost' })
  }

  /** An open connection is lost, and we did not close it: its siblings have to prove themselves. */
  #lost(client: PeerClient, error: Error): void {
    if (client._ending) return
    const vitals = this.vitalsOf(client)
    const now = read(this.#host.settings.clock)
    const isNobodys = vitals.state === 'idle' || vitals.state === 'probing' || vitals.state === 'draining'
    // It had to be reckoned with, and says nothing about the others.
    const wasEvicted = isNobodys && this.membership?.wasEvicted(vitals, error) === true
    if (wasEvicted) this.#host.pool._remove(client)
    else this.ended(client, error, vitals.askedAt ?? now.mono)
    if (isNobodys && !wasEvicted) this.#host.died(client, error)
    this.#sessionLost(vitals)
    // A caller learns of the loss of its connection; unless it was handed out with the probe on its way, for which the caller must not pay.
    if (!isNobodys && vitals.owed?.to !== 'piggybacked') return
    const silenceMillis = elapsedMillis(vitals.provenAt, now)
    const code = codeOf(error)
    this.#host.memory.events.emit({ type: 'stale', reason: 'broken', silenceMillis, ...(code !== undefined && { code }) })
  }
}
