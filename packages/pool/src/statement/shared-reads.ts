/**
 * A read that goes out behind others, on a connection that is shared. If those ahead take too long, another connection races them: the first answer counts. If
 * the connection is lost, everything on it is a read, and goes out again on the usual rules.
 */

import { chargedSince, codeOf, LOOK_MILLIS } from '@thaw/core'
import type pg from 'pg'
import type { Placed, Sharing } from '../checkout/sharing.ts'
import { isInterruption } from '../connection/interruption.ts'
import type { Ledger } from '../connection/ledger.ts'
import { lossOf } from '../connection/lost-statement.ts'
import type { Expected, Shareable } from '../connection/shared-connection.ts'
import { mayBeTheName } from '../connection/statement-names.ts'
import { nextTick } from '../driver/next-tick.ts'
import type { ConnectCallback, PeerClient, PeerQuery, Release } from '../driver/peer.ts'
import type { Callback } from '../driver/promisify.ts'
import { rememberSent } from './as-first-sent.ts'
import { type Call, resume } from './call.ts'
import type { PoolQueryHost } from './pool-query-host.ts'

export interface SharedReadHost extends Pick<PoolQueryHost, 'waiting' | 'checks' | 'repeating'> {
  readonly sharing: Sharing
  /** Wants another connection. Returns how not to want it any more. */
  connect(call: Call, take: ConnectCallback): () => void
  /** Sends it on a connection of its own as well, where nothing can be changed. */
  runBeside(call: Call, late: PeerClient, other: PeerClient, release: Release): void
  succeeded(call: Call, result: pg.QueryResult | undefined): void
  /** `since`: when it came. */
  failed(call: Call, error: Error, since: number): void
  /** Sends it again, by itself: it is not its own error that it got. In front of all who came later and wait. */
  sendAlone(call: Call, since: number | undefined): void
}

/** Sends it behind what is on its way already. `before`: so many wait in front of it. False: nowhere, it has to wait. */
export function shareRead(call: Call, before: number, host: SharedReadHost): boolean {
  return sendShared(call, host.sharing.place(call, before), host)
}

/** Sends it with others of this moment, though a connection may rest. False: it had better have one of its own. */
export function joinRead(call: Call, host: SharedReadHost): boolean {
  return sendShared(call, host.sharing.join(call), host)
}

/** The same where its place is known. */
export function sendShared(call: Call, placed: Placed | undefined, host: SharedReadHost): boolean {
  if (!placed || !call.shareable) return false
  try {
    call.sent ??= rememberSent(call.text, call.values)
  } catch {
    // A getter that has begun to throw, while others are served: it waits for a connection of its own, and is told there.
    call.shareable = null
    return false
  }
  call.ledger = placed.ledger
  new SharedRead(call, call.shareable, placed, host).send()
  return true
}

/** For so long the server works on one that races the connection on which it is late. */
const RACE_MILLIS = 100
/** And so many times as long the next time. */
const LONGER = 8
/** PostgreSQL's longest statement_timeout. */
const MOST_MILLIS = 2 ** 31 - 1
/** Unlike those who wait in the pool's queue. */
const SENT_BEHIND = ' The statement, which only reads, has been sent behind others on its connection: the server may still execute it.'
/** PostgreSQL's query_canceled. */
const CANCELLED = '57014'

class SharedRead implements Expected {
  readonly shareable: Shareable
  readonly workMillis: number
  readonly isSlow: boolean
  readonly isTiny: boolean
  readonly sentAt: number
  readonly runKey: string | undefined
  isJoined = false
  isDropped = false
  hasOldName = false
  query: PeerQuery | undefined
  askedFrom: Expected['askedFrom'] = undefined
  state: Expected['state'] = 'plain'
  begin: (() => void) | undefined
  readonly #call: Call
  readonly #ledger: Ledger
  readonly #host: SharedReadHost
  #isSending = false
  #isTold = false
  /** Its own end is in, one way or the other. pg may tell it twice. */
  isEnded = false
  /** It is to be sent on another connection as well, or has been; or it writes, which that one refuses. */
  #race: 'none' | 'wanted' | 'taken' | 'refused' = 'none'
  #races = 0
  #wantNoOther: (() => void) | undefined
  /** That nothing is known of it is nothing to tell as long as it may still be answered elsewhere. */
  #held: Error | undefined
  /** When it began to wait, moved later by the time asleep. */
  #since: number

  constructor(call: Call, shareable: Shareable, { ledger, at }: Placed, host: SharedReadHost) {
    this.#call = call
    this.#ledger = ledger
    this.#host = host
    this.shareable = shareable
    this.workMillis = shareable.pace.millis ?? 0
    this.isSlow = host.sharing.paces.isSlow(shareable.pace)
    this.isTiny = host.sharing.paces.isTiny(shareable.pace)
    this.sentAt = at
    this.#since = at
    this.runKey = this.isSlow || call.isAlone ? undefined : (shareable.name ?? shareable.text)
  }

  send(): void {
    this.#isSending = true
    try {
      this.#ledger.add(this, this.#call, (error: Error | null, result?: pg.QueryResult) => this.#settle(error, result))
    } catch (error) {
      this.#settle(error as Error, undefined)
    }
    this.#isSending = false
  }

  get isAwaited(): boolean {
    return !this.#isTold && !this.isEnded
  }

  /** Once more only where a connection rests: it may be what takes long itself. */
  get mayRace(): boolean {
    return this.isAwaited && this.#race === 'none' && (this.#races === 0 || this.#host.sharing.hasIdle)
  }

  race(): void {
    this.#races++
    this.#race = 'wanted'
    this.#wantNoOther = resume(this.#call, () => this.#host.connect(this.#call, (...results) => this.#take(...results)))
  }

  waits(lookedAt: number, now: number): number {
    const { waiting } = this.#host
    const { limitMillis } = waiting
    if (!this.isAwaited || this.#race === 'taken') return Number.POSITIVE_INFINITY
    this.#since = chargedSince(this.#since, lookedAt, now, limitMillis)
    const leftMillis = this.#since + limitMillis - now
    if (leftMillis > 0) return leftMillis
    // It does not wait for a connection.
    if (this.#host.sharing.hasIdle) return LOOK_MILLIS
    if (this.query && this.#ledger.abandon(this.query) && this.#mayTell()) {
      const error = waiting.timeUp(now - this.#since)
      error.message = error.message.replace(/(?= See http)|$/, SENT_BEHIND)
      // A callback of the user's may throw, and others are to be told.
      nextTick(() => resume(this.#call, () => this.#call.done(error)))
    }
    return Number.POSITIVE_INFINITY
  }

  #take(failure: Error | undefined, other: PeerClient | undefined, release: Release): void {
    if (this.#isTold) return release()
    this.#race = other ? 'taken' : 'none'
    if (failure || !other) return
    const besides: Callback<pg.QueryResult> = (error, result) => {
      const loss = error ? lossOf(error) : undefined
      // Its own is the statement that takes long, not one of those that it was sent with: two connections must not be kept from the others for it.
      const isCancelled = error && codeOf(error) === CANCELLED
      // The other way is closed as well only if its own connection was lost, too.
      const isRefused = loss?.verdict.reason === 'write-in-flight'
      if (isRefused) this.#host.checks.classify.isNoRead(this.shareable.text)
      if ((isCancelled || loss) && !this.isEnded) this.#race = isRefused ? 'refused' : 'none'
      // A race that is lost, too, was no second try. But its own bound is its own error, wherever it was reached.
      else if (this.#held && (isCancelled || (loss && !isRefused && !isInterruption(loss.cause)))) this.#sendAgain(this.#held)
      else if (this.#mayTell()) this.#call.done(error, result)
    }
    const usualMillis = Math.max(RACE_MILLIS, 4 * this.workMillis, 2 * this.#host.sharing.lateMillis())
    const mostMillis = Math.min(MOST_MILLIS, Math.round(usualMillis * LONGER ** (this.#races - 1)))
    this.#host.runBeside({ ...this.#call, done: besides, mostMillis }, this.#ledger.client, other, release)
  }

  #sendAgain(lost: Error): void {
    if (this.#mayTell()) resume(this.#call, () => this.#host.failed(this.#call, lost, this.#since))
  }

  #settle(error: Error | null | undefined, result: pg.QueryResult | undefined): void {
    if (this.isEnded) return
    this.isEnded = true
    // While others are being written: a callback that throws would be taken for a statement that could not be sent.
    if (this.#isSending || this.state === 'waiting' || this.state === 'writing') nextTick(() => this.#end(error, result))
    else this.#end(error, result)
  }

  #end(error: Error | null | undefined, result: pg.QueryResult | undefined): void {
    if (this.isDropped || (this.hasOldName && error && mayBeTheName(error) !== 'no')) {
      // It was not even written: it is not what was judged.
      const call: Call = this.state === 'plain' ? { ...this.#call, shareable: null } : this.#call
      if (this.#mayTell()) resume(call, () => this.#host.sendAlone(call, this.#since))
      return
    }
    const isLost = error && lossOf(error)
    if (isLost) this.#ledger.lose(error)
    // It was sent again before that was known.
    if (isLost && this.#race === 'taken') resume(this.#call, () => this.#host.repeating(error, isLost))
    if (isLost && this.#race === 'taken' && !this.#isTold) this.#held = error
    else if (error) this.#sendAgain(error)
    else if (this.#mayTell()) this.#host.succeeded(this.#call, result)
  }

  /** The first answer counts. */
  #mayTell(): boolean {
    if (this.#isTold) return false
    this.#isTold = true
    this.#wantNoOther?.()
    return true
  }
}
