/**
 * What the server owes on a connection that several reads share: whose each coming answer is, in the order of sending. Rows reach the caller at the head and
 * no other caller. Each statement has a Sync of its own, or else its run has one (decision 179): an error is told to its own caller only.
 *
 * pg makes the statements. They wait here until this tick has ended, and are then sent ahead of the answers, in one write. pg itself knows of one at a time: at
 * each ReadyForQuery the next one takes the place of the active one. No driver's own pipeline mode is used: there is none in pg up to 8.21, nor in Neon's.
 */

import { type Deadline, LOOK_MILLIS, startDeadline } from '@thaw/core'
import type { QueryResult } from 'pg'
import { nextTick, throwLater } from '../driver/next-tick.ts'
import {
  activeQueryOf,
  becomeReady,
  type PeerClient,
  type PeerQuery,
  queuedQueriesOf,
  type Release,
  setActiveQuery,
  setReady,
} from '../driver/peer.ts'
import { isAsJudged } from './as-judged.ts'
import type { Bounds } from './interruption.ts'
import type { LedgerHost } from './ledger-host.ts'
import { sendTogether } from './sent-together.ts'
import type { Expected, Reader, SharedConnection } from './shared-connection.ts'
import { isBroken, type Vitals } from './vitals.ts'

const OF_ANOTHER = 'Not counted: another statement of the same flight was refused'
const CHANGED = 'Not sent: its configuration was changed after it had been judged to be a read'
const NOT_IDLE = 'Connection closed: a statement that shared it, and had to be a read, left a transaction open'

export class Ledger implements SharedConnection {
  isAdding = false
  isPaid = false
  readonly #host: LedgerHost
  readonly client: PeerClient
  readonly #vitals: Vitals
  readonly #release: Release
  /** In order. The first is at the head, or was refused and waits for its ReadyForQuery. */
  readonly #entries: Expected[]
  #aheadMillis = 0
  #slow = 0
  #notTiny = 0
  /** Since when the first is at the head, and whether there was one before it. */
  #headSince: number
  #isFirst = true
  /** More than one was under way at the same time. */
  #isShared = false
  #isOpen = true
  /** The connection is gone, and all that was on it is told. */
  #isTaken = false
  #isScheduled = false
  /** So many in front belong to a run: the server has finished them, and is not ready yet. */
  #finished = 0
  #begin: (() => void) | undefined
  #late: Deadline | undefined
  #lookedAt = 0

  /**
   * @param head the statement that runs: it had the connection for itself until now. Undefined: the connection is idle, and the first one is sent with those
   * that are added in this tick. `release` gives the connection back.
   */
  constructor(host: LedgerHost, client: PeerClient, vitals: Vitals, head: Expected | undefined, release: Release) {
    this.#host = host
    this.client = client
    this.#vitals = vitals
    this.#release = release
    this.#entries = []
    vitals.ledger = this
    if (head) {
      head.query = activeQueryOf(client)
      this.#entries.push(head)
      this.#count(head, 1)
      this.#headSince = head.sentAt
      return
    }
    // Whatever else reaches the client is queued.
    setReady(client, false)
    this.#headSince = host.clock.mono()
    // Behind the ticks that are asked for until this one has ended.
    this.#isScheduled = true
    host.moment.gathers(client)
    nextTick(() => nextTick(() => this.#flush()))
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  get length(): number {
    return this.#entries.length
  }

  /** Does each of them take the server next to no time? */
  get isTiny(): boolean {
    return this.#notTiny === 0
  }

  get hasSlow(): boolean {
    return this.#slow > 0
  }

  aheadMillis(now: number): number {
    return Math.max(0, this.#aheadMillis - Math.min(now - this.#headSince, this.#entries[0]?.workMillis ?? 0))
  }

  overdueMillis(now: number): number {
    return now - this.#headSince - (this.#entries[0]?.workMillis ?? 0)
  }

  hasNamed(name: string): boolean {
    return this.#entries.some(({ shareable }) => shareable.name === name)
  }

  nameClosed(name: string): void {
    for (const entry of this.#entries) entry.hasOldName ||= entry.shareable.name === name
  }

  close(): void {
    this.#isOpen = false
  }

  readonly begins: NonNullable<Bounds['begins']> = (begin) => {
    this.#begin = begin
  }

  /** pg makes it, and calls `settle` once or twice. False: it was refused, and its caller is told. */
  add(expected: Expected, { text, values }: Reader, settle: (error: Error, result: QueryResult) => void): boolean {
    const client = this.client
    const queue = queuedQueriesOf(client)
    const { length } = queue
    this.#begin = undefined
    this.isAdding = true
    try {
      client.query(text as string, values as unknown[], settle)
    } finally {
      this.isAdding = false
    }
    // pg has queued it, unless it has refused it.
    const added = queue.length > length ? queue.pop() : undefined
    if (!added) return false
    if (!isAsJudged(added, expected.shareable)) {
      this.#tellDropped(expected, added, CHANGED, nextTick)
      return false
    }
    expected.query = added
    expected.begin = this.#begin
    expected.state = 'waiting'
    this.#entries.push(expected)
    this.#count(expected, 1)
    if (!this.#isScheduled) {
      this.#isScheduled = true
      this.#host.moment.gathers(client)
      nextTick(() => this.#flush())
    }
    this.#isShared ||= this.#entries.length > 1
    this.#watch()
    return true
  }

  #flush(): void {
    const { client } = this
    this.#isScheduled = false
    this.#host.moment.hasSent(client)
    // What it was for was refused or withdrawn, and the connection has been given back.
    if (this.#vitals.ledger !== this) return
    if (!isBroken(client)) this.#sendAhead()
    if (this.#entries.length > 0) return
    // Each was refused, or withdrawn, before it was sent. What else has reached the client goes out.
    becomeReady(client)
    this.#leave()
  }

  #sendAhead(): void {
    const { connection } = this.client
    const waiting = this.#entries.filter(({ state }) => state === 'waiting')
    const [first] = this.#entries
    const isIdle = first?.state === 'waiting'
    const askedFrom = this.#host.sends(this.client, this.#vitals, isIdle ? first.query : undefined)
    if (isBroken(this.client)) return
    for (const entry of waiting) entry.askedFrom = askedFrom
    const deferred = sendTogether(waiting, connection, (expected, error) => this.#refuse(expected, error))
    if (deferred) this.#endBehind(deferred)
    const [head] = this.#entries
    if (!isIdle || !head?.query) return
    setActiveQuery(this.client, head.query)
    this.#start(head)
  }

  /** Its answer comes last, whenever it is written. */
  #endBehind(deferred: Expected): void {
    this.close()
    this.#host.deferred()
    for (const entry of this.#entries.splice(this.#entries.indexOf(deferred) + 1)) this.#drop(entry, nextTick)
  }

  #refuse({ query }: Expected, error: Error): void {
    if (!query) return
    this.withdraw(query)
    nextTick(() => query.handleError(error, this.client.connection))
  }

  withdraw(query: PeerQuery): boolean {
    const index = this.#entries.findIndex((entry) => entry.query === query && entry.state === 'waiting')
    for (const entry of index === -1 ? [] : this.#entries.splice(index, 1)) {
      entry.state = 'plain'
      this.#count(entry, -1)
    }
    return index !== -1
  }

  abandon(query: PeerQuery): boolean {
    const isSent = ({ state }: Expected) => state === 'ahead' || state === 'writing'
    const isBehind = this.#entries.some((entry) => entry.query === query && isSent(entry)) && activeQueryOf(this.client) !== query
    if (isBehind) this.close()
    return isBehind
  }

  takeAll(): ReturnType<SharedConnection['takeAll']> {
    const active = activeQueryOf(this.client)
    const isHeadAhead = this.#entries[0]?.state === 'ahead'
    // The others at the front have been finished, and not been told.
    const head = this.#entries[this.#finished]?.state === 'waiting' ? [] : this.#entries.splice(this.#finished, 1)
    const left = this.#entries.splice(0, Number.POSITIVE_INFINITY, ...head)
    this.#finished = 0
    this.#isTaken = true
    const of = (one: Expected['state']) => left.flatMap(({ query, state }) => (state === one && query && query !== active ? query : []))
    this.close()
    return { sent: of('ahead'), unsent: of('waiting'), isHeadAhead }
  }

  completed(): void {
    const next = this.#entries[this.#finished + 1]
    if (!this.#entries[this.#finished]?.isJoined || !next?.query) return
    this.#finished++
    setActiveQuery(this.client, next.query)
  }

  ready(message: { readonly status?: string | undefined }, pg: () => void): void {
    try {
      if (this.#passOn(message)) return
      // What the caller asks when it is told must not come behind what is over.
      this.close()
      pg()
    } finally {
      this.#answered()
    }
  }

  #passOn({ status }: { readonly status?: string | undefined }): boolean {
    const client = this.client
    // Whatever comes now runs in a transaction that no caller meant.
    if (status !== 'I') client.connection.stream.destroy(new Error(NOT_IDLE))
    this.#endRun()
    // This tick has not ended, and they are due.
    if (this.#entries[1]?.state === 'waiting') this.#sendAhead()
    const next = this.#entries[1]
    if (next?.state !== 'ahead' || !next.query) return false
    const active = activeQueryOf(client)
    setActiveQuery(client, next.query)
    if (next.askedFrom) this.#vitals.askedFrom = next.askedFrom
    this.#start(next)
    this.#tellReady(active)
    return true
  }

  /** Callbacks are the user's: what one throws is no reason not to tell the others. */
  #tellReady(query: PeerQuery | undefined | null): void {
    guarded(() => query?.handleReadyForQuery?.(this.client.connection))
  }

  /** Leaves the last of the run at the head, or the one that was refused. */
  #endRun(): void {
    const { client } = this
    if (activeQueryOf(client)) {
      const finished = this.#entries.splice(0, this.#finished)
      this.#finished = 0
      for (const entry of finished) {
        this.#tellReady(entry.query)
        this.#account(entry)
      }
      return
    }
    // One was refused. The server left out what followed it, and what it had finished before counts as little: it was one transaction.
    const length = this.#entries.findIndex(({ isJoined }) => !isJoined) + 1
    if (length < 2) return
    const [refused] = this.#entries.splice(this.#finished, 1)
    const others = this.#entries.splice(0, length - 1)
    this.#finished = 0
    if (refused) this.#entries.unshift(refused)
    // At once: the connection may be given back in a moment, and they have had their place in front of those who wait for one.
    for (const entry of others) this.#drop(entry, guarded)
  }

  #drop(entry: Expected, when: (tell: () => void) => void): void {
    this.#count(entry, -1)
    this.#tellDropped(entry, entry.query, OF_ANOTHER, when)
  }

  #tellDropped(entry: Expected, query: PeerQuery | undefined, why: string, when: (tell: () => void) => void): void {
    entry.isDropped = true
    const error = new Error(why)
    when(() => query?.handleError(error, this.client.connection))
  }

  #count({ workMillis, isSlow, isTiny }: Expected, sign: 1 | -1): void {
    this.#aheadMillis += sign * workMillis
    this.#slow += sign * Number(isSlow)
    this.#notTiny += sign * Number(!isTiny)
  }

  #start(entry: Expected): void {
    entry.begin?.()
    entry.begin = undefined
  }

  #answered(): void {
    const entry = this.#entries.shift()
    if (!entry) return
    if (this.#entries.length === 0) this.#leave()
    this.#account(entry)
  }

  #account(entry: Expected): void {
    const now = this.#vitals.provenAt.mono
    const behindMillis = this.#isFirst ? Number.POSITIVE_INFINITY : now - this.#headSince
    this.#isFirst = false
    this.#headSince = now
    this.#count(entry, -1)
    if (this.#entries.length < 2) this.#stopWatching()
    this.#host.answered(entry, now - entry.sentAt, behindMillis, this.#isShared)
  }

  lose(error: Error): void {
    // Before, the others on it would never be told.
    if (this.#isTaken) this.#leave(error)
  }

  #leave(error?: Error): void {
    if (this.#vitals.ledger !== this) return
    this.#isOpen = false
    this.#stopWatching()
    this.#vitals.ledger = undefined
    this.#vitals.wasShared = this.#isShared
    this.#release(error)
  }

  #watch(): void {
    if (this.#late || this.#entries.length < 2) return
    const now = this.#host.clock.mono()
    this.#lookedAt = now
    this.#lookIn(this.#host.lateMillis() - this.overdueMillis(now))
  }

  /** Often enough to tell a freeze from a wait. */
  #lookIn(millis: number): void {
    this.#late = startDeadline(this.#host.clock, Math.max(1, Math.min(LOOK_MILLIS, millis)), () => this.#look(), true)
  }

  #look(): void {
    this.#late = undefined
    if (this.#entries.length < 2 || isBroken(this.client)) return
    const lateMillis = this.#host.lateMillis()
    const now = this.#host.clock.mono()
    const leftMillis = this.#charge(now)
    const overdueMillis = this.overdueMillis(now)
    if (overdueMillis < lateMillis) return this.#lookIn(Math.min(leftMillis, lateMillis - overdueMillis))
    // In a run the head may not be what takes long: what the server has answered comes with the last.
    const awaited = this.#entries.filter(({ isAwaited }) => isAwaited)
    // The only one that is left is what takes long.
    const racers = awaited.filter((entry) => awaited.length > 1 && entry.mayRace && (entry !== this.#entries[0] || entry.isJoined))
    // If none may, the whole server is slow: it is asked again a delay later.
    const isHeld = racers.length > 0 && !this.#host.mayRace(this.client)
    if (!isHeld) for (const entry of racers) entry.race()
    this.#lookIn(Math.min(leftMillis, isHeld ? lateMillis : LOOK_MILLIS))
  }

  /** Those that wait, for the time since the last look. Returns the least that one of them has left. */
  #charge(now: number): number {
    const lookedAt = this.#lookedAt
    this.#lookedAt = now
    // Of a run, what the server has finished waits for its Sync only.
    const behind = this.#entries.slice(this.#finished + 1)
    return behind.reduce((least, entry) => Math.min(least, entry.waits(lookedAt, now)), Number.POSITIVE_INFINITY)
  }

  #stopWatching(): void {
    this.#late?.cancel()
    this.#late = undefined
  }
}

function guarded(tell: () => void): void {
  try {
    tell()
  } catch (error) {
    throwLater(error)
  }
}
