/**
 * What the server owes on a connection that several reads share: whose each coming answer is, in the order of sending. Rows reach the caller at the head and
 * no other caller. Each statement has a Sync of its own, so that an error ends nothing but itself.
 *
 * pg makes the statements. They wait here until this tick has ended, and are then sent ahead of the answers, in one write. pg itself knows of one at a time: at
 * each ReadyForQuery the next one takes the place of the active one. No driver's own pipeline mode is used: there is none in pg up to 8.21, nor in Neon's.
 */

import { type Clock, type Deadline, startDeadline } from '@thaw/core'
import type { QueryResult } from 'pg'
import { wireError } from '../driver/errno.ts'
import { nextTick } from '../driver/next-tick.ts'
import { activeQueryOf, type PeerClient, type PeerQuery, queuedQueriesOf, type Release, setActiveQuery } from '../driver/peer.ts'
import type { Bounds } from './interruption.ts'
import { inOneWrite } from './one-write.ts'
import type { Expected, Reader, SharedConnection } from './shared-connection.ts'
import { isBroken, type Vitals } from './vitals.ts'

/** What a ledger needs of its pool. */
export interface LedgerHost {
  readonly clock: Clock
  /** How long an answer may be late before those behind it are raced. */
  lateMillis(): number
  /** Is there another connection that could be faster? And may those behind be sent a second time? */
  mayRace(client: PeerClient): boolean
  /** A write on the connection is due at the end of this tick, and may take more until then. Then: it has gone out. */
  gathers(client: PeerClient): void
  hasSent(client: PeerClient): void
  /** `behindMillis`: since the answer before it. Infinity: there was none. */
  answered(expected: Expected, tookMillis: number, behindMillis: number): void
}

/** Why the connection of the others was closed under a read that shared it. They are sent again. */
const ENDED_BY_ANOTHER = 'Connection closed: a statement that shared it was ended by its bound or its signal'
const NOT_IDLE = 'Connection closed: a statement that shared it, and had to be a read, left a transaction open'

export class Ledger implements SharedConnection {
  isAdding = false
  isPaid = false
  endedBy: Error | undefined
  readonly #host: LedgerHost
  readonly client: PeerClient
  readonly #vitals: Vitals
  readonly #release: Release
  /** In order. The first is at the head, or was refused and waits for its ReadyForQuery. */
  readonly #entries: Expected[]
  #aheadMillis: number
  #slow: number
  /** Since when the first is at the head, and whether there was one before it. */
  #headSince: number
  #isFirst = true
  #isOpen = true
  #isScheduled = false
  #begin: (() => void) | undefined
  #late: Deadline | undefined

  /** @param head the statement that runs: it had the connection for itself until now. `release` gives the connection back. */
  constructor(host: LedgerHost, client: PeerClient, vitals: Vitals, head: Expected, release: Release) {
    this.#host = host
    this.client = client
    this.#vitals = vitals
    this.#release = release
    head.query = activeQueryOf(client)
    this.#entries = [head]
    this.#aheadMillis = head.workMillis
    this.#slow = Number(head.isSlow)
    this.#headSince = head.sentAt
    vitals.ledger = this
  }

  get isOpen(): boolean {
    return this.#isOpen
  }

  get length(): number {
    return this.#entries.length
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
    const active = activeQueryOf(client)
    this.#begin = undefined
    this.isAdding = true
    try {
      client.query(text as string, values as unknown[], settle)
    } finally {
      this.isAdding = false
    }
    // pg keeps it for later, or has sent it, if the server was ready.
    const isWaiting = queue.length > length
    const added = isWaiting ? queue.pop() : activeQueryOf(client)
    if (!added || added === active) return false
    expected.query = added
    expected.begin = this.#begin
    expected.state = isWaiting ? 'waiting' : 'plain'
    this.#entries.push(expected)
    this.#aheadMillis += expected.workMillis
    this.#slow += Number(expected.isSlow)
    if (!isWaiting) this.#start(expected)
    else if (!this.#isScheduled) {
      this.#isScheduled = true
      this.#host.gathers(client)
      nextTick(() => {
        this.#isScheduled = false
        this.#host.hasSent(client)
        if (!isBroken(client)) this.#sendAhead()
      })
    }
    this.#watch()
    return true
  }

  #sendAhead(): void {
    const { connection } = this.client
    const waiting = this.#entries.filter(({ state }) => state === 'waiting')
    inOneWrite(connection, () => {
      for (const expected of waiting) {
        const refused = expected.query?.submit?.(connection)
        if (refused) this.#refuse(expected, refused)
        else expected.state = 'ahead'
      }
    })
  }

  #refuse({ query }: Expected, error: Error): void {
    if (!query) return
    this.withdraw(query)
    nextTick(() => query.handleError(error, this.client.connection))
  }

  withdraw(query: PeerQuery): boolean {
    const index = this.#entries.findIndex((entry) => entry.query === query && entry.state === 'waiting')
    for (const entry of index === -1 ? [] : this.#entries.splice(index, 1)) this.#leaves(entry)
    return index !== -1
  }

  isBehind(query: PeerQuery): boolean {
    return this.#entries.some((entry) => entry.query === query && entry.state === 'ahead') && activeQueryOf(this.client) !== query
  }

  takeAll(error: Error): ReturnType<SharedConnection['takeAll']> {
    const active = activeQueryOf(this.client)
    const isHeadAhead = this.#entries[0]?.state === 'ahead'
    const left = this.#entries.splice(1)
    const of = (one: Expected['state']) => left.flatMap(({ query, state }) => (state === one && query && query !== active ? query : []))
    this.close()
    const cause = this.endedBy === error ? wireError('ECONNRESET', ENDED_BY_ANOTHER) : error
    return { sent: of('ahead'), unsent: of('waiting'), cause, isHeadAhead }
  }

  passOn({ status }: { readonly status?: string | undefined }): boolean {
    const client = this.client
    // Whatever comes now runs in a transaction that no caller meant.
    if (status !== 'I') client.connection.stream.destroy(new Error(NOT_IDLE))
    // This tick has not ended, and they are due.
    if (this.#entries[1]?.state === 'waiting') this.#sendAhead()
    const next = this.#entries[1]
    if (next?.state !== 'ahead' || !next.query) return false
    const active = activeQueryOf(client)
    setActiveQuery(client, next.query)
    this.#start(next)
    active?.handleReadyForQuery?.(client.connection)
    return true
  }

  #leaves({ workMillis, isSlow }: Expected): void {
    this.#aheadMillis -= workMillis
    this.#slow -= Number(isSlow)
  }

  #start(entry: Expected | undefined): void {
    entry?.begin?.()
    if (entry) entry.begin = undefined
  }

  answered(): void {
    const entry = this.#entries.shift()
    if (!entry) return
    const now = this.#vitals.provenAt.mono
    const behindMillis = this.#isFirst ? Number.POSITIVE_INFINITY : now - this.#headSince
    this.#isFirst = false
    this.#headSince = now
    this.#leaves(entry)
    const [head] = this.#entries
    if (this.#entries.length < 2) this.#stopWatching()
    if (!head) this.#leave()
    this.#host.answered(entry, now - entry.sentAt, behindMillis)
  }

  lose(error: Error): void {
    if (isBroken(this.client)) this.#leave(error)
  }

  #leave(error?: Error): void {
    if (this.#vitals.ledger !== this) return
    this.#isOpen = false
    this.#stopWatching()
    this.#vitals.ledger = undefined
    this.#vitals.wasShared = true
    this.#release(error)
  }

  #watch(): void {
    if (this.#late || this.#entries.length < 2) return
    const { clock } = this.#host
    const left = Math.max(1, this.#host.lateMillis() - this.overdueMillis(clock.mono()))
    this.#late = startDeadline(clock, left, () => this.#look(), true)
  }

  #look(): void {
    this.#late = undefined
    if (this.#entries.length < 2 || isBroken(this.client)) return
    if (this.overdueMillis(this.#host.clock.mono()) < this.#host.lateMillis()) return this.#watch()
    if (!this.#host.mayRace(this.client)) {
      // The whole server is slow. Look again, a delay later.
      this.#late = startDeadline(this.#host.clock, this.#host.lateMillis(), () => this.#look(), true)
      return
    }
    for (const entry of this.#entries.slice(1)) entry.race()
  }

  #stopWatching(): void {
    this.#late?.cancel()
    this.#late = undefined
  }
}
