/**
 * Reads that share connections: which connection a read goes out on behind others, if on any. Knows what was learned of texts, and which connections carry nothing
 * but reads; who is told what is in `statement/`, and whose each answer is in `connection/ledger.ts`.
 */

import { choosePlace, createPaces, type Paces, POOL_USES, type Reading, read, spend } from '@thaw/core'
import type { Dialer } from '../connect/dialer.ts'
import { isAsJudged } from '../connection/as-judged.ts'
import { Ledger } from '../connection/ledger.ts'
import type { LedgerHost } from '../connection/ledger-host.ts'
import type { Memory } from '../connection/pool-context.ts'
import type { Expected, Reader, Shareable, SharedConnection } from '../connection/shared-connection.ts'
import { statements } from '../connection/traced-client.ts'
import { isBroken, isWatched, VITALS, type Vitals } from '../connection/vitals.ts'
import { activeQueryOf, type PeerClient, type PeerPool, type PeerQuery, queuedQueriesOf, type Release } from '../driver/peer.ts'
import { peekAt } from '../driver/query-form.ts'
import type { Waiter } from '../driver/waiter.ts'
import type { Settings } from '../options/options.ts'
import type { HealthChecks } from './health-checks.ts'
import type { Hedging } from './hedging.ts'
import { Moment } from './moment.ts'
import { shareableOf } from './shareable.ts'
import { acquires } from './traced-acquire.ts'

export interface SharingHost {
  readonly pool: PeerPool<Waiter>
  readonly settings: Settings
  readonly memory: Memory
  readonly checks: HealthChecks
  readonly hedging: Hedging
  readonly dialer: Pick<Dialer, 'outstanding' | 'dial'>
  /** Is a caller told of each connection, or of each statement on the client? */
  isSeen(client: PeerClient): boolean
}

/** Undefined: connections are not shared. */
export function createSharing(host: SharingHost): Sharing | undefined {
  return host.settings.share === false ? undefined : new Sharing(host)
}

/** Where a read goes out, and when. */
export interface Placed {
  readonly ledger: Ledger
  readonly at: number
}

/** A connection that a read may go out on, and what is ahead there. */
interface Lane {
  readonly client: PeerClient
  readonly vitals: Vitals
  readonly aheadMillis: number
}

/** Where one is lost, so many have to be sent again. */
const MOST_AHEAD = 100
/** More than this that the kernel has not taken: the caller that comes now only waits in another queue. */
const MOST_UNWRITTEN = 65_536
/** How many of those who wait are looked at when something has changed. */
const MOST_LOOKED_AT = 16
/** Until a dial was seen: what one across a continent takes. */
const DIAL_MILLIS = 100
const ALPHA = 1 / 8
export class Sharing implements LedgerHost {
  readonly paces: Paces = createPaces()
  readonly clock: Settings['clock']
  readonly #host: SharingHost
  #dialMillis: number | undefined
  #isServing = false
  /** Code of the user's puts off what is sent: the order of the answers is not that of the calls. */
  #isDeferred = false
  /** A caller would have shared: what each connection leads to is asked from now on. */
  #wantsProof = false
  readonly moment: Moment = new Moment()

  constructor(host: SharingHost) {
    this.#host = host
    this.clock = host.settings.clock
  }

  lateMillis(): number {
    return this.#host.hedging.delayMillis
  }

  /** Rests a connection for which no caller waits? */
  get hasIdle(): boolean {
    return this.#host.pool._idle.length > 0 && this.#host.pool._pendingQueue.length === 0
  }

  /** One token of the retry budget for all that is on the connection. Where every other one is late, too, none of them would be faster. */
  mayRace(client: PeerClient): boolean {
    const { pool, memory } = this.#host
    const now = this.clock.mono()
    const isFlowing = (other: PeerClient): boolean => {
      const vitals = (other as { [VITALS]?: Vitals })[VITALS]
      if (!vitals || other === client || vitals.state !== 'in use') return false
      return vitals.ledger ? vitals.ledger.overdueMillis(now) <= this.lateMillis() : now - (vitals.readerSentAt ?? 0) <= this.lateMillis()
    }
    const hasRoom = pool._clients.length < pool.options.max
    const budget = hasRoom || pool._idle.length > 0 || pool._clients.some(isFlowing) ? spend(memory.budget) : undefined
    if (budget === undefined) return false
    memory.budget = budget
    return true
  }

  dialled(millis: number): void {
    this.#dialMillis = this.#dialMillis === undefined ? millis : this.#dialMillis + ALPHA * (millis - this.#dialMillis)
  }

  /** The call has a connection for itself, until a caller wants to share it. */
  began(reader: Reader, client: PeerClient, vitals: Vitals, release: NonNullable<Vitals['readerRelease']>): void {
    vitals.reader = reader
    vitals.readerRelease = release
    // No clock was read for a new connection.
    vitals.readerSentAt = Math.max(this.#host.checks.lookedAt, vitals.provenAt.mono)
    this.moment.asked(vitals.readerSentAt, client)
  }

  /** The connection on which others of this moment go out, or have just gone out: though one may rest. Undefined: it had better have one of its own. */
  join(reader: Reader): Placed | undefined {
    const read = shareableOf(reader, this.#host.checks.classify, this.paces)
    if (!read || !this.paces.isTiny(read.pace)) return undefined
    const now = this.#host.checks.look().mono
    if (this.moment.isOver(now) || !this.#isUnwatched()) return undefined
    this.#wantsProof ||= this.#host.settings.share === 'auto'
    if (!this.#isAllowed()) return undefined
    // Behind one that is slow all the same it could not be raced.
    if (spend(this.#host.memory.budget) === undefined) return undefined
    const client = this.moment.joinable
    const lane = client && this.#isTiny(client) ? this.#laneOf(client, read, now, this.lateMillis()) : undefined
    const ledger = lane && this.#open(lane)
    if (!ledger) return undefined
    this.moment.asked(now)
    this.#host.pool[POOL_USES]?.shared()
    return { ledger, at: now }
  }

  /**
   * Others will share it in a moment, perhaps, as they did the last time: what this tick sends goes to the socket in one write, the call's own statement with
   * it. Undefined: it has the connection for itself.
   */
  gather(reader: Reader, client: PeerClient, vitals: Vitals, release: Release): Placed | undefined {
    if (!vitals.wasShared) return undefined
    vitals.wasShared = false
    if (!this.#mayShare() || !this.#isProven(vitals) || !this.#isQuiet(client) || activeQueryOf(client)) return undefined
    const read = shareableOf(reader, this.#host.checks.classify, this.paces)
    // Where connections rest, none would go out with it.
    if (!read || (this.#host.pool._idle.length > 0 && !this.paces.isTiny(read.pace))) return undefined
    const ledger = new Ledger(this, client, vitals, undefined, release)
    const at = Math.max(this.#host.checks.lookedAt, vitals.provenAt.mono)
    this.moment.asked(at)
    return { ledger, at }
  }

  sends(client: PeerClient, vitals: Vitals, first: PeerQuery | undefined): Reading | undefined {
    const { membership } = this.#host.checks
    if (first) membership?.submitting(client, vitals, first)
    return membership && read(this.clock)
  }

  /** The call that had the connection for itself was answered. */
  ended({ text, shareable }: Reader, vitals: Vitals): void {
    vitals.reader = undefined
    vitals.readerRelease = undefined
    const asked = typeof text === 'string' ? text : peekAt(text, 'text')
    if (typeof asked === 'string')
      this.paces.learn(shareable?.pace ?? this.paces.of(asked), vitals.provenAt.mono - (vitals.readerSentAt ?? 0))
  }

  deferred(): void {
    this.#isDeferred = true
  }

  answered({ shareable }: Expected, tookMillis: number, behindMillis: number, isTogether: boolean): void {
    this.paces.learn(shareable.pace, tookMillis, behindMillis, isTogether)
    // There is room for one more, or it has become known that a text is quick.
    if (this.#host.pool._pendingQueue.length > 0) this.serve()
  }

  /**
   * Must it be detected, with this read, what is at the other end? Callers would share. Each connection is asked about once: the same address may lead to
   * PostgreSQL first, and to a pooler later.
   */
  asks(reader: Reader, vitals: Vitals, client: PeerClient): boolean {
    if (!this.#wantsProof || vitals.leadsTo !== undefined || this.#host.memory.isDirect === false) return false
    // The question would go in front of another's statement, and make one transaction of the two: what it has done is rolled back if the read fails.
    if (activeQueryOf(client) || queuedQueriesOf(client).length > 0) return false
    return shareableOf(reader, this.#host.checks.classify, this.paces) !== null
  }

  /** The caller that calls asks. Returns what to call with the answer. */
  ask(client: PeerClient, vitals: Vitals): (pid: number) => void {
    const { memory } = this.#host
    vitals.leadsTo = 'asked'
    return (pid) => {
      const isDirect = pid > 0 && pid === client.processID
      vitals.leadsTo = isDirect ? 'postgres' : 'pooler'
      // One pooler is enough: others may come.
      if (isDirect) memory.isDirect ??= true
      else memory.isDirect = false
      this.serve()
    }
  }

  /** Those who wait, and may go out behind others now. */
  serve(): void {
    const queue = this.#host.pool._pendingQueue
    // The caller that goes out may fail at once, and so on. Behind a pooler none can go out.
    if (this.#isServing || queue.length === 0 || !this.#mayShare()) return
    this.#isServing = true
    try {
      for (let index = 0; index < Math.min(queue.length, MOST_LOOKED_AT); ) {
        const { share, context, lift } = queue[index] as Waiter
        const isOut = share && (context ? context.runInAsyncScope(share, undefined, index) : share(index))
        if (isOut) {
          queue.splice(index, 1)
          lift?.()
        } else index++
      }
    } finally {
      this.#isServing = false
    }
  }

  /**
   * The connection that the read goes out on, behind others. Undefined: on none, it waits for one of its own.
   *
   * @param before how many wait in front of it: each of them gets the connection that would be free first.
   */
  place(reader: Reader, before: number): Placed | undefined {
    const { pool, checks } = this.#host
    if (!this.#isUnwatched()) return undefined
    const read = shareableOf(reader, checks.classify, this.paces)
    if (!read) return undefined
    // The caller that is alone does not ask.
    this.#wantsProof ||= this.#host.settings.share === 'auto' && (before > 0 || pool._clients.length > pool._idle.length)
    if (!this.#isAllowed()) return undefined
    const { max } = pool.options
    const isSlow = this.paces.isSlow(read.pace)
    // Wherever it is: up to sixteen are asked each time that a connection is free.
    if (isSlow && max > 1) return undefined
    const dialling = this.#host.dialer.outstanding
    const now = this.clock.mono()
    const lane = this.#lane(read, Math.max(0, before - dialling), now)
    // It may not wait longer than for a connection of its own.
    if (!lane || lane.aheadMillis >= (Number(pool.options.connectionTimeoutMillis) || Number.POSITIVE_INFINITY)) return undefined
    const hasRoom = pool._clients.length < max
    const choice = choosePlace({
      aheadMillis: lane.aheadMillis,
      isSlow,
      roundTripMillis: this.paces.roundTripMillis,
      dialMillis: this.#dialMillis ?? DIAL_MILLIS,
      dialling,
      hasRoom,
      max,
    })
    if (choice === 'share and dial') this.#host.dialer.dial()
    const ledger = choice === 'own' ? undefined : this.#open(lane)
    if (ledger) pool[POOL_USES]?.shared()
    return ledger && { ledger, at: now }
  }

  #mayShare(): boolean {
    return this.#isAllowed() && this.#isUnwatched()
  }

  #isAllowed(): boolean {
    const { settings, memory } = this.#host
    return !this.#isDeferred && (settings.share !== 'auto' || memory.isDirect === true)
  }

  /** Is what it leads to known to be PostgreSQL itself? What others at the same address lead to proves nothing. */
  #isProven({ leadsTo }: Vitals): boolean {
    return leadsTo === 'postgres' || this.#host.settings.share !== 'auto'
  }

  #isUnwatched(): boolean {
    const { pool } = this.#host
    return !pool.ending && !acquires.isHeard && !statements.isHeard && isPlain(pool)
  }

  #open({ client, vitals }: Lane): Ledger | undefined {
    const { reader, readerRelease, readerSentAt = 0 } = vitals
    if (vitals.ledger instanceof Ledger) return vitals.ledger
    if (!reader?.shareable || !readerRelease) return undefined
    const { pace } = reader.shareable
    const head: Expected = {
      shareable: reader.shareable,
      workMillis: pace.millis ?? 0,
      isSlow: this.paces.isSlow(pace),
      isTiny: this.paces.isTiny(pace),
      sentAt: readerSentAt,
      runKey: undefined,
      isJoined: false,
      isDropped: false,
      hasOldName: false,
      isEnded: false,
      query: undefined,
      askedFrom: undefined,
      state: 'plain',
      begin: undefined,
      race() {},
      mayRace: false,
      isAwaited: true,
      waits: () => Number.POSITIVE_INFINITY,
    }
    const ledger = new Ledger(this, client, vitals, head, readerRelease)
    reader.ledger = ledger
    vitals.reader = undefined
    vitals.readerRelease = undefined
    return ledger
  }

  /** The connection on which least is ahead, but for so many of them. */
  #lane(read: Shareable, but: number, now: number): Lane | undefined {
    const lateMillis = this.#host.pool.options.max === 1 ? Number.POSITIVE_INFINITY : this.lateMillis()
    const others: Lane[] = []
    const gathering = but === 0 ? this.#laneOf(this.moment.gathering, read, now, lateMillis) : undefined
    if (gathering) return gathering
    let least: Lane | undefined
    for (const client of this.#host.pool._clients) {
      const vitals = (client as { [VITALS]?: Vitals })[VITALS]
      const aheadMillis = vitals && this.#aheadMillis(client, vitals, read, now, lateMillis)
      if (!vitals || aheadMillis === undefined || (but === 0 && least && least.aheadMillis <= aheadMillis)) continue
      least = { client, vitals, aheadMillis }
      if (but > 0) others.push(least)
    }
    return but > 0 ? others.sort((one, other) => one.aheadMillis - other.aheadMillis)[but] : least
  }

  #laneOf(client: PeerClient | undefined, read: Shareable, now: number, lateMillis: number): Lane | undefined {
    const vitals = client && (client as { [VITALS]?: Vitals })[VITALS]
    const aheadMillis = vitals && this.#aheadMillis(client, vitals, read, now, lateMillis)
    if (!vitals || aheadMillis === undefined) return undefined
    this.moment.add(read.pace.millis)
    return { client, vitals, aheadMillis }
  }

  /** Undefined: it may not be shared, or not by this one. */
  #aheadMillis(client: PeerClient, vitals: Vitals, read: Shareable, now: number, lateMillis: number): number | undefined {
    if (
      vitals.state !== 'in use' ||
      !vitals.isPoolQuery ||
      !this.#isProven(vitals) ||
      vitals.sessionState !== 'none' ||
      vitals.owed ||
      !this.#host.checks.isSound(vitals, now)
    )
      return undefined
    if (isBroken(client) || client.connection.stream.writableLength > MOST_UNWRITTEN) return undefined
    const isOnlyOne = lateMillis === Number.POSITIVE_INFINITY
    const { ledger } = vitals
    if (ledger) {
      if (!ledger.isOpen || ledger.length >= MOST_AHEAD || (ledger.hasSlow && !isOnlyOne) || ledger.overdueMillis(now) > lateMillis)
        return undefined
      return knowsName(client, read, ledger) ? ledger.aheadMillis(now) : undefined
    }
    const head = vitals.reader && this.#headOf(client, vitals.reader)
    if (!head || (!isOnlyOne && this.paces.isSlow(head.pace))) return undefined
    const passed = now - (vitals.readerSentAt ?? now)
    const workMillis = head.pace.millis ?? 0
    return passed - workMillis <= lateMillis && knowsName(client, read, head) ? Math.max(0, workMillis - passed) : undefined
  }

  /** Does no other code hear what is sent on it, and has none sent anything? */
  #isQuiet(client: PeerClient): boolean {
    return isWatched(client) && !this.#host.isSeen(client) && !client.pipeline && queuedQueriesOf(client).length === 0
  }

  /** Does all that is on it take next to no time? */
  #isTiny(client: PeerClient): boolean {
    const { ledger, reader } = (client as { [VITALS]?: Vitals })[VITALS] ?? {}
    if (ledger instanceof Ledger) return ledger.isTiny
    const head = reader && shareableOf(reader, this.#host.checks.classify, this.paces)
    return head != null && this.paces.isTiny(head.pace)
  }

  /** The statement that has the connection for itself, if others may share it. */
  #headOf(client: PeerClient, reader: Reader): Shareable | undefined {
    // Behind an answer that was an error.
    const query = activeQueryOf(client)
    if (!query || !this.#isQuiet(client)) return undefined
    const head = shareableOf(reader, this.#host.checks.classify, this.paces)
    return head && isAsJudged(query, head) ? head : undefined
  }
}

/** Two statements of one name must not both be parsed: the second waits until the server has parsed the first. */
function knowsName(client: PeerClient, { name, text }: Shareable, ahead: SharedConnection | Shareable): boolean {
  if (name === undefined) return true
  const parsed = client.connection.parsedStatements?.[name]
  if (parsed !== undefined) return parsed === text
  return !('hasNamed' in ahead ? ahead.hasNamed(name) : ahead.name === name)
}

/** Is no caller told of each time that a connection is in use, and does no caller count them? */
function isPlain(pool: PeerPool<Waiter>): boolean {
  const { maxUses } = pool.options as { readonly maxUses?: number }
  return maxUses === Number.POSITIVE_INFINITY && pool.listenerCount('acquire') === 0 && pool.listenerCount('release') === 0
}
