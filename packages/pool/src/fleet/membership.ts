/**
 * A pool's membership in a fleet: the names of its sessions, when it looks for room, and how long a session is its own.
 *
 * A session logs in as one that is spared. The first statement of a connection carries the look; a statement of `pool.query()` can be sent
 * again, so from then on its session may be ended while idle. While a caller has a client, or has left state on it, the session is named as
 * one that is spared.
 */

import {
  type Clock,
  codeOf,
  type Events,
  elapsedMillis,
  FLEET_LEASE_MILLIS,
  type FleetNames,
  type FleetTrouble,
  fleetNames,
  isCrowded,
  isEviction,
  LATE_ANSWER_MILLIS,
  read,
  readFleetName,
  serverRefusalOf,
  troubleOf,
  wasSentInTime,
} from '@thaw/core'
import { type OwnAnswer, OwnStatement } from '../connection/own-statement.ts'
import type { Memory } from '../connection/pool-context.ts'
import { isBroken, isWatched, VITALS, type Vitals } from '../connection/vitals.ts'
import { activeQueryOf, type PeerClient, type PeerQuery, queuedQueriesOf, type ReadyMessage } from '../driver/peer.ts'
import type { FleetStats } from '../stats.ts'
import { askWhether, type DirectAddresses, isAtNeon, isKnownDirect, isStill, noteDirect } from './direct-address.ts'
import type { JoinedFleet } from './fleet-options.ts'
import { tooLate, unproven } from './given-up.ts'
import { ListenerStatements } from './listener-statements.ts'
import {
  type Before,
  type Found,
  foundIn,
  LOOK,
  lookValues,
  RENAME,
  RENAME_AND_SLEEP,
  RENAME_AND_STAY,
  RENAME_AND_WAKE,
  sleepOf,
  WAKE,
  WAKE_VALUES,
} from './look.ts'
import type { MemberHost } from './member-client.ts'
import type { Named } from './own-name.ts'
import type { Turns } from './turns.ts'

export class Membership implements MemberHost {
  readonly #fleet: JoinedFleet
  readonly #clock: Clock
  readonly #memory: Memory
  readonly #names = new WeakMap<object, FleetNames>()
  readonly #told = new Set<FleetTrouble>()
  readonly listeners: ListenerStatements = new ListenerStatements()
  /** There is no server to ask: a pooler, or not PostgreSQL. */
  #isOff = false
  /** It may not look, or may not end sessions. Its own sessions may be ended by others. */
  #isBlind = false
  /** It may not ask for the lock that proves that a session is not being ended: none of its sessions rests any more. */
  #cannotProve = false
  /** When the next look is due, besides those of new connections. */
  #nextLookAt = Number.POSITIVE_INFINITY
  /** The last look could not end enough; and strangers leave little room. */
  #isCrowded = false
  #isTight = false
  /** Since the last look a connection attempt was refused: others wait as well. */
  #awaitsTurn = false
  #stats: Omit<FleetStats, 'yielded'> = { looks: 0, evicted: 0, spared: 0, used: 0, limit: 0 }
  readonly turns: Turns
  readonly #direct: DirectAddresses

  constructor(fleet: JoinedFleet, clock: Clock, memory: Memory, turns: Turns, direct: DirectAddresses) {
    this.turns = turns
    this.#direct = direct
    this.#fleet = fleet
    this.#clock = clock
    this.#memory = memory
  }

  get stats(): { readonly fleet: FleetStats } {
    return { fleet: { ...this.#stats, yielded: this.turns.yielded } }
  }

  // ---------------------------------------------------------------- what a client tells

  made(client: Named): void {
    const { connectionParameters } = client
    if (!connectionParameters) return
    const names = fleetNames(this.#fleet, connectionParameters.application_name || this.#fleet.called)
    this.#names.set(client, names)
    connectionParameters.application_name = names.held
  }

  /** After `SET application_name` no member would count the session. The user's own name is kept, in front. */
  told(client: PeerClient, vitals: Vitals | undefined, name: string): void {
    const names = this.#names.get(client)
    if (!names || !vitals) return
    const isOurs = name === names.held || name === names.resting
    const told = isOurs ? { isMember: true, names } : readFleetName(this.#fleet, name)
    if (told.names) this.#names.set(client, told.names)
    else if (!told.isMember) this.#trouble('name', false)
    // A name of the fleet may be the wrong one, too: code puts back what it read while the session rested.
    const isRight = vitals.own?.length ? told.isMember : name === told.names?.[vitals.fleetName ?? 'held']
    const isMisnamed = !isRight && (told.isMember || told.names !== undefined)
    vitals.misnamedBy = isMisnamed ? (this.listeners.isBeingAnswered(client, vitals) ? 'listener' : 'caller') : undefined
  }

  /** When the trust begins: with the reply; or, if the reply took long, with the request, because the reply may have waited in our socket. */
  ready(client: object, vitals: Vitals): void {
    const now = read(this.#clock)
    const from = vitals.askedFrom ?? vitals.bornAt
    vitals.fleetName ??= 'held'
    vitals.wake ??= () => this.#wake(client as PeerClient, vitals)
    vitals.leaseFrom = elapsedMillis(from, now) > LATE_ANSWER_MILLIS ? from : now
    const isOwn = vitals.own !== undefined && vitals.own.length > 0
    const isProbe = vitals.owed?.to === 'probe'
    const isShared = vitals.ledger !== undefined && vitals.ledger.length > 1
    const isFollowed =
      isShared || (isOwn && ((vitals.own?.length ?? 0) > 1 || isProbe)) || ((isOwn || isProbe) && activeQueryOf(client) !== undefined)
    if (!isFollowed) vitals.askedFrom = undefined
  }

  /**
   * At an address that has not been found to be PostgreSQL itself yet, the look goes out behind the first statement, and not in front of it: a pooler may drop what follows a Sync. No
   * caller waits for it but one that sends its next statement before the answer.
   */
  ended(client: PeerClient, vitals: Vitals, { status }: ReadyMessage): void {
    const isLogin = vitals.status === undefined
    // The replies to reads that share the connection come first.
    const isShared = vitals.ledger !== undefined && vitals.ledger.length > 1
    if (isLogin || isShared || status !== 'I' || !this.#mayName(client, vitals)) return
    // Not before: a SET LOCAL, or a transaction that is rolled back, has changed it for a while only.
    const isKnown = this.mayFollow(client)
    if (vitals.misnamedBy && isKnown) this.#claim(client, vitals)
    if (!this.#mayLook || isKnown || (vitals.hasLooked && this.#clock.mono() < this.#nextLookAt)) return
    this.#look(client, vitals, vitals.isPoolQuery && vitals.sessionState === 'none' ? 'resting' : 'held')
  }

  mayFollow(client: PeerClient): boolean {
    return isKnownDirect(this.#direct, client)
  }

  /** In front of whatever is sent next. */
  submitting(client: PeerClient, vitals: Vitals, next: PeerQuery | undefined = queuedQueriesOf(client)[0]): void {
    if (!this.#mayName(client, vitals)) return
    const now = read(this.#clock)
    const mayBeSentAgain = vitals.isPoolQuery && vitals.sessionState === 'none'
    // The process stood still between the decision and now. Nothing has been sent, so the statement is sent elsewhere.
    const isLate = vitals.leaseFrom !== undefined && !wasSentInTime(elapsedMillis(vitals.leaseFrom, now))
    if (isLate && vitals.status === 'I' && mayBeSentAgain && vitals.fleetName === 'resting' && vitals.owed === undefined)
      return void client.connection.stream.destroy(tooLate())
    vitals.askedFrom ??= now
    vitals.lateProofs = 0
    // A read that carries a probe.
    if (vitals.owed?.to === 'piggybacked') this.#wake(client, vitals)
    if (!this.mayFollow(client)) return
    // A COPY takes the socket from pg, and would read our reply.
    if (vitals.status !== 'I' || next?.requiresPreparation === undefined) return
    const name = mayBeSentAgain && !this.#cannotProve ? 'resting' : 'held'
    if (this.#mayLook && (!vitals.hasLooked || now.mono >= this.#nextLookAt)) this.#look(client, vitals, name)
    else if (vitals.fleetName !== name && (vitals.isPoolQuery || name === 'held')) this.#rename(client, vitals, name)
  }

  // ------------------------------------------------------------------ what the pool tells

  /** A caller is about to be given the client. False: it was too late to be certain that the session is still there. */
  hold(client: PeerClient, vitals: Vitals): boolean {
    if (vitals.fleetName !== 'resting' || !this.#mayName(client, vitals)) return true
    // Otherwise the look is on its way, and the name follows its answer.
    if (this.mayFollow(client)) this.#rename(client, vitals, 'held')
    return !this.#isLate(vitals, read(this.#clock))
  }

  /** Is it too late to send anything on it? In a row that is counted: a connection of which it is never certain in time would be probed for ever. */
  #isLate(vitals: Vitals, now: { readonly wall: number; readonly mono: number }): boolean {
    const isLate = vitals.leaseFrom !== undefined && !wasSentInTime(elapsedMillis(vitals.leaseFrom, now))
    if (isLate) vitals.lateProofs = (vitals.lateProofs ?? 0) + 1
    return isLate
  }

  /** The client was released, and no caller waits for it. */
  rest(client: PeerClient, vitals: Vitals): void {
    this.turns.rested()
    this.#rest(client, vitals)
  }

  #rest(client: PeerClient, vitals: Vitals): void {
    const { fleetName, sessionState, status } = vitals
    if (this.#cannotProve || fleetName !== 'held' || sessionState !== 'none' || status !== 'I') return
    if (!this.#mayName(client, vitals)) return
    const isKnown = this.mayFollow(client)
    if (!isKnown && !isStill(client, vitals)) return
    const mustEndItself = this.#fleet.keep === 0 || this.#isCrowded || this.#clock.mono() >= this.#nextLookAt
    if (this.#mayLook && (mustEndItself || !vitals.hasLooked)) this.#look(client, vitals, 'resting')
    else if (isKnown) this.#rename(client, vitals, 'resting')
    else this.#ask(client, vitals)
  }

  /** PostgreSQL itself has answered: what had to wait for that is sent. */
  #follow(client: PeerClient, vitals: Vitals): void {
    if (!isStill(client, vitals) || !this.#mayName(client, vitals)) return
    if (vitals.misnamedBy) this.#claim(client, vitals)
    if (vitals.fleetName === 'resting' && vitals.inUse && !vitals.isPoolQuery) this.#rename(client, vitals, 'held')
    else if (vitals.state === 'idle') this.#rest(client, vitals)
  }

  /** The look has failed, and so has not told who answers. */
  #ask(client: PeerClient, vitals: Vitals): void {
    if (!isStill(client, vitals) || !this.#mayName(client, vitals)) return
    const told = (isDirect: boolean) => (isDirect ? this.#follow(client, vitals) : this.#trouble('pooler', true))
    this.#send(client, vitals, askWhether(this.#direct, client, told))
  }

  /** An invocation has ended. The process may be frozen now, and no timer run for minutes. In a new process, its look may not have been answered yet. */
  turnOver(): void {
    this.turns.over(0, this.#awaitsTurn)
  }

  /** Has another member ended it, or has it ended by itself? Its pool opens another one when it needs it. */
  wasEvicted(vitals: Vitals, error: Error): boolean {
    return !this.#isOff && vitals.fleetName === 'resting' && isEviction(error)
  }

  /** Is the trust over, although the server has been heard from since? */
  isOverdue(vitals: Vitals, now: { readonly wall: number; readonly mono: number }, trustMillis: number): boolean {
    return vitals.leaseFrom !== undefined && elapsedMillis(vitals.leaseFrom, now) >= trustMillis
  }

  /**
   * It has replied, but so late that it may have been ended since: the reply may have waited in the socket of a frozen process. Probe
   * again, a few times.
   */
  judgeProof(vitals: Vitals, now: { readonly wall: number; readonly mono: number }): 'in time' | 'ask again' | 'give up' {
    const isLate = this.#isLate(vitals, now)
    if ((vitals.lateProofs ?? 0) >= MOST_LATE_PROOFS) return 'give up'
    return isLate ? 'ask again' : 'in time'
  }

  /** A connection attempt has failed. If the server had no room, an open connection looks for it; otherwise the next statement does. */
  refused(error: Error, idle: PeerClient | undefined): void {
    this.#awaitsTurn = serverRefusalOf(error) === 'full' && this.#mayLook
    if (!this.#awaitsTurn) return
    this.#nextLookAt = Math.min(this.#nextLookAt, this.#clock.mono())
    const vitals = (idle as { [VITALS]?: Vitals } | undefined)?.[VITALS]
    if (idle && vitals?.state === 'idle' && vitals.status === 'I' && !vitals.own?.length && this.#mayName(idle, vitals)) {
      this.#look(idle, vitals, vitals.sessionState === 'none' ? 'resting' : 'held')
    }
  }

  /** Was the last connection attempt refused, because the server was full? */
  get awaitsTurn(): boolean {
    return this.#awaitsTurn
  }

  // ---------------------------------------------------------------------------- the wire

  get #mayLook(): boolean {
    return !this.#isOff && !this.#isBlind
  }

  #mayName(client: PeerClient, vitals: Vitals): boolean {
    if (this.#memory.isDirect === false && !isAtNeon(client)) this.#trouble('pooler', true)
    return !this.#isOff && vitals.fleetName !== undefined && this.#names.has(client) && isWatched(client) && !isBroken(client)
  }

  #wake(client: PeerClient, vitals: Vitals): void {
    vitals.askedFrom ??= read(this.#clock)
    // A caller has it, so it was certain to last when it was handed out.
    const isHeld = vitals.fleetName === 'held' && (vitals.state === 'in use' || this.#cannotProve)
    if (isHeld || vitals.status !== 'I' || !this.mayFollow(client) || !this.#mayName(client, vitals)) return
    this.#send(client, vitals, new OwnStatement(WAKE, WAKE_VALUES, ({ error }) => error && this.#unproven(client, error)))
  }

  /** Without the lock, which may have taken longer than the user's `lock_timeout`, it may be about to be ended. Nothing but a read has been sent. */
  #unproven(client: PeerClient, error: Error): void {
    this.#cannotProve ||= troubleOf(error) === 'no-right'
    this.#trouble(troubleOf(error), false, codeOf(error))
    client.connection.stream.destroy(unproven())
  }

  /** Its name is session state, whatever a caller has changed it by. */
  #claim(client: PeerClient, vitals: Vitals): void {
    if (vitals.misnamedBy === 'caller' && vitals.sessionState === 'none') vitals.sessionState = 'left'
    vitals.misnamedBy = undefined
    this.#rename(client, vitals, 'held')
  }

  #rename(client: PeerClient, vitals: Vitals, next: 'resting' | 'held'): void {
    const name = this.#names.get(client)?.[next]
    if (name === undefined) return
    const { ownTimeout } = vitals
    const stays = next === 'held' && vitals.endsItself === true
    const sleeps = next === 'resting' && vitals.endsItself !== true
    if (stays || sleeps) vitals.endsItself = sleeps
    const former = vitals.fleetName
    vitals.fleetName = next
    const renamed = ({ row, error }: OwnAnswer): void => {
      // True unless a caller has been given it since.
      if (sleeps && row?.[2] == null) vitals.endsItself = false
      else if (sleeps) vitals.ownTimeout = row?.[1] ?? undefined
      if (!error) return
      // Cancelled, or too late for the user's `statement_timeout`. What is sent next has it in front again.
      if (stays) vitals.endsItself = true
      if (vitals.fleetName === next && former) vitals.fleetName = former
      this.#trouble(troubleOf(error), false, codeOf(error))
    }
    const [text, timeout] = sleeps
      ? [RENAME_AND_SLEEP, sleepOf(this.#fleet, this.#isTight)]
      : stays && ownTimeout
        ? [RENAME_AND_WAKE, ownTimeout]
        : [stays ? RENAME_AND_STAY : RENAME]
    this.#send(client, vitals, new OwnStatement(text, timeout === undefined ? [name] : [name, timeout], renamed))
  }

  #look(client: PeerClient, vitals: Vitals, wanted: 'resting' | 'held'): void {
    const next = this.#cannotProve ? 'held' : wanted
    // Not a name that it already has: a session that ends itself must not be told so twice, nor one that is in use at all.
    const name = next === 'resting' ? this.#names.get(client)?.resting : undefined
    if (next === 'held' && vitals.fleetName === 'resting' && this.mayFollow(client)) this.#rename(client, vitals, 'held')
    vitals.hasLooked = true
    const former = vitals.fleetName
    vitals.fleetName = next
    this.#nextLookAt = Number.POSITIVE_INFINITY
    this.#isCrowded = false
    // From now on it may end by itself. A caller who has it before the answer comes must not lose it.
    const endedItself = vitals.endsItself === true
    if (name !== undefined) vitals.endsItself = true
    const values = lookValues(this.#fleet, isAtNeon(client) ? undefined : Number(client.processID), name, this.#awaitsTurn)
    this.#send(client, vitals, new OwnStatement(LOOK, values, (answer) => this.#looked(client, vitals, answer, { former, endedItself })))
  }

  #send(client: PeerClient, vitals: Vitals, statement: OwnStatement): void {
    vitals.askedFrom ??= read(this.#clock)
    vitals.own ??= []
    vitals.own.push(statement)
    client.connection.stream.write(statement.bytes)
  }

  #looked(client: PeerClient, vitals: Vitals, { row, error }: OwnAnswer, { former, endedItself }: Before): void {
    const found = foundIn(row)
    // The first time: later, it may be what the pool has set.
    if (found?.endsItself && !endedItself) vitals.ownTimeout = found.timeoutBefore
    // False: a caller has been given it since, and the server told to keep it.
    if (vitals.endsItself) vitals.endsItself = endedItself || found?.endsItself === true
    if (!found) {
      // Its session still has its former name, unless it has got another one since.
      const mayRest = vitals.fleetName === 'resting' && vitals.state === 'idle' && vitals.status === 'I'
      if (vitals.fleetName === 'resting' && former) vitals.fleetName = former
      const isKnown = this.mayFollow(client)
      if (isKnown && mayRest && !this.#cannotProve && former === 'held' && this.#mayName(client, vitals))
        this.#rename(client, vitals, 'resting')
      const reason = troubleOf(error)
      // Cancelled, or too late for the user's `statement_timeout`: the next one may not be.
      if (reason === 'failed') this.#nextLookAt = this.#clock.mono() + LOOK_AGAIN_MILLIS
      else this.#isBlind = true
      this.#trouble(reason, reason === 'no-function', codeOf(error))
      return isKnown ? undefined : this.#ask(client, vitals)
    }
    if (!isAtNeon(client)) this.#memory.isDirect = found.isDirect
    noteDirect(this.#direct, client, found.isDirect)
    if (!found.isDirect) return this.#trouble('pooler', true)
    this.#note(found, this.#memory.events)
    this.#isCrowded = isCrowded(found)
    this.#isTight = found.isTight
    this.turns.learn(this.#awaitsTurn || (this.#isCrowded && found.isFull), found.limit)
    this.#awaitsTurn = false
    this.#nextLookAt = this.#clock.mono() + (this.#isCrowded ? FLEET_LEASE_MILLIS : LOOK_AGAIN_MILLIS)
    this.#follow(client, vitals)
  }

  #note({ ended, spared, used, limit, hidden, barred, isAboveLimit }: Found, events: Events): void {
    const { looks, evicted } = this.#stats
    this.#stats = { looks: looks + 1, evicted: evicted + ended, spared, used, limit }
    if (ended > 0) events.emit({ type: 'evicted', sessions: ended, spared, used, limit })
    if (hidden > 0) this.#trouble('hidden', false)
    if (barred > 0) this.#trouble('no-right', false)
    if (isAboveLimit) this.#trouble('sessions-above-limit', false)
  }

  #trouble(reason: FleetTrouble, isFinal: boolean, code?: string): void {
    if (isFinal) this.#isOff = true
    if (this.#told.has(reason)) return
    this.#told.add(reason)
    this.#memory.events.emit({ type: 'fleetTrouble', reason, ...(code !== undefined && { code }) })
  }
}

/** A runtime that keeps its connection has to notice when the server has become full meanwhile. */
const LOOK_AGAIN_MILLIS = 3000
/** In a network this slow, no session can be certain. */
const MOST_LATE_PROOFS = 4
