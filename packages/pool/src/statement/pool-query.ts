/**
 * `pool.query()`: one statement on whatever connection there is. If the connection is lost, the outcome decides whether the statement may
 * be sent on another: it certainly was not executed, only reads, or was declared idempotent.
 */

import {
  classify,
  codeOf,
  currentInvocation,
  earn,
  foundStandby,
  hasInvocations,
  hingesOnDirectness,
  judgeResend,
  mayLookUpAgain,
  type ResendFacts,
  read,
  type StandbyFound,
  spend,
  TransactionOpenError,
} from '@thaw/core'
import type pg from 'pg'
import type { Door } from '../checkout/door.ts'
import type { Hedging } from '../checkout/hedging.ts'
import type { Memory } from '../connection/home.ts'
import { isInterruption } from '../connection/interruption.ts'
import { judgeAgain, type Loss, loseSent, lossOf, wasNoRead } from '../connection/lost-statement.ts'
import { statements, tracePoolStatement } from '../connection/traced-client.ts'
import { type Answer, sendUnseen } from '../connection/unseen.ts'
import { isBroken, type Vitals } from '../connection/vitals.ts'
import { isBusy, whenFinished } from '../connection/when-finished.ts'
import { keepContext } from '../driver/async-context.ts'
import type { Driver } from '../driver/driver.ts'
import { nextTick } from '../driver/next-tick.ts'
import { activeQueryOf, type ConnectCallback, isSubmittable, type PeerClient, type PeerQuery, type Release } from '../driver/peer.ts'
import { type Callback, promisify } from '../driver/promisify.ts'
import type { Settings } from '../options/options.ts'
import { asFirstSent, rememberSent } from './as-first-sent.ts'
import { type Call, isIdempotent, readOnly, resume, type Settle, send, sendFirst, signalOf } from './call.ts'
import { asPiggybacked, knowsQueryMode, mayPiggyback, noProof, startPiggyback } from './piggyback.ts'

/** What pool queries need of their pool. */
export interface PoolQueryHost {
  readonly driver: Pick<Driver, 'DatabaseError' | 'Query'>
  readonly settings: Settings
  readonly memory: Memory
  readonly door: Door
  isEnding(): boolean
  readonly hedging: Hedging
  /** Is `query` of the driver's Client wrapped? */
  isQueryWrapped(client: PeerClient): boolean
  /** Does a tracing tool or an invocation watch what the pool does? Then it matters in whose async context it is done. */
  isObserved(): boolean
  /** Returns the function that withdraws the request; a connection that arrives anyway is released. */
  connect(callback: ConnectCallback, wish: Wish): () => void
  /** Hands out a connection that needs no probe, at once. False: there is none, or another caller waits already. */
  lendNow(callback: ConnectCallback): boolean
  /** A statement is about to be sent again. */
  repeating(error: Error, loss: Loss): void
}

/** What kind of connection is wanted, and for which caller. */
export interface Wish {
  readonly signal: unknown
  /** Called only if it matters: will an unchecked connection do, if it is not known to be dead? */
  readonly mayPiggyback?: (() => boolean) | undefined
  /** If the pool has ended, the call had come before. */
  readonly isAtDoor?: boolean | undefined
  /** It is our own query: no wrapper of `connect` sees it. */
  readonly isUnseen?: boolean
}

const MOST_REPEATS = 2
/** PostgreSQL's read_only_sql_transaction. */
const READ_ONLY = '25006'
const LEFT_OPEN =
  'A statement sent by pool.query() left a transaction open. It was rolled back, because the next pool.query() may use another connection. Acquire one client for the whole transaction: const client = await pool.connect().'

export class PoolQueries {
  readonly #host: PoolQueryHost
  readonly #hasQueryMode: boolean
  #standby: StandbyFound | undefined

  constructor(host: PoolQueryHost) {
    this.#host = host
    this.#hasQueryMode = knowsQueryMode(host.driver.Query)
  }

  /** With pg-pool's choice of arguments. */
  query(
    PromiseClass: PromiseConstructor,
    text: unknown,
    values: unknown,
    callback: Callback<pg.QueryResult> | undefined,
  ): Promise<pg.QueryResult> | undefined {
    if (typeof text === 'function') {
      const promised = promisify(PromiseClass, text as Callback<pg.QueryResult>)
      const refused = new Error('Passing a function as the first parameter to pool.query is not supported')
      nextTick(() => promised.callback(refused))
      return promised.result
    }
    const isTwoArguments = typeof values === 'function'
    const promised = promisify(PromiseClass, isTwoArguments ? (values as Callback<pg.QueryResult>) : callback)
    this.#start(text, isTwoArguments ? undefined : values, promised.callback)
    return promised.result
  }

  #start(text: unknown, values: unknown, done: Callback<pg.QueryResult>): void {
    // Here, where the caller's own span is still the current one: the wrappers of tracing tools come with `connect`.
    if (this.#host.memory.events.hears('thawed')) this.#host.door.look()
    const context = this.#host.isObserved() ? keepContext() : undefined
    const call: Call = { text, values, done, invocation: currentInvocation(), context, repeats: MOST_REPEATS }
    const run: ConnectCallback = (failure, client, release) => {
      if (failure || !client) done(failure)
      else this.#run(call, client, release)
    }
    // pg-pool hands out in the next tick. The difference cannot be seen, and a tick is a tenth of what Thaw costs.
    if (signalOf(text) === undefined && this.#host.lendNow(run)) return
    const piggybacks = () => mayPiggyback(text, values, { classify: this.#host.door.classify, hasQueryMode: this.#hasQueryMode })
    this.#connect(call, run, { signal: signalOf(text), mayPiggyback: piggybacks })
  }

  #send(again: Call): void {
    const call = { ...again, ...asFirstSent(again.sent) }
    this.#connect(call, (failure, client, release) => {
      if (failure || !client) this.#notSent(call, failure)
      else this.#run({ ...call, isAtDoor: false }, client, release)
    })
  }

  /** What became of the retry says nothing about the first attempt. */
  #notSent({ done, secondTry }: Call, failure: Error | undefined): void {
    if (secondTry?.how !== 'as it is') return done(failure)
    this.#host.door.reported(secondTry.loss)
    done(judgeAgain(secondTry.loss, this.#host.door))
  }

  /** By default for our own queries. */
  #connect(
    call: Call,
    callback: ConnectCallback,
    wish: Wish = { signal: signalOf(call.text), isAtDoor: call.isAtDoor, isUnseen: true },
  ): () => void {
    if (!hasInvocations()) return resume(call, () => this.#host.connect(callback, wish))
    const resumed: ConnectCallback = (...results) => resume(call, () => callback(...results))
    return resume(call, () => this.#host.connect(resumed, wish))
  }

  #run(call: Call, client: PeerClient, release: Release): void {
    call.sent ??= rememberSent(call.text, call.values)
    const vitals = this.#host.door.vitalsOf(client)
    vitals.isPoolQuery = true
    call.trace?.sentOn(client)
    if (!call.trace && statements.isHeard)
      return tracePoolStatement(client, call, (traced) => this.#run({ ...call, ...traced }, client, release))
    if (vitals.piggybacks) return this.#runPiggybacked(call, client, release, vitals)
    this.#runAs(call, client, release, vitals)
  }

  /** The probe goes in front. If its reply is late, whichever connection is ready first serves the caller. */
  #runPiggybacked({ done, ...unshared }: Call, client: PeerClient, release: Release, vitals: Vitals): void {
    vitals.piggybacks = false
    let isDone = false
    const once: Callback<pg.QueryResult> = (...results) => {
      if (isDone) return
      isDone = true
      done(...results)
    }
    const call = { ...unshared, done: once }
    const { settings, hedging } = this.#host
    let current = call
    let isTaken = false
    let isEnded = false
    /** That the outcome is unknown need not be reported as long as the statement may still be answered. */
    let held: Error | undefined
    const besides: Callback<pg.QueryResult> = (error, result) => {
      if (error && lossOf(error) && !isEnded) held = error
      else current.done(error, result)
    }
    const take: ConnectCallback = (failure, other, releaseOther) => {
      if (failure || !other) return
      if (probe.isOver) return releaseOther()
      isTaken = true
      this.#runBeside({ ...current, done: besides }, client, vitals, other, releaseOther)
    }
    const wantOther = () => this.#connect(call, take)
    const probe = startPiggyback(client, vitals, { ...settings, hedging, wantOther })
    const text = asPiggybacked(call.text, call.values)
    const piggybacked = { ...call, text, values: text === call.text ? call.values : undefined }
    const seen = this.#runAs(piggybacked, client, release, vitals, (error) => {
      const isAtDoor = !probe.isOver
      probe.end()
      isEnded = true
      if (!error) return false
      if (isTaken) {
        release(error)
        if (held) current.done(held)
      } else resume(call, () => this.#failed({ ...current, isAtDoor }, client, release, error))
      return true
    })
    current = { ...call, ...seen }
  }

  /** It only reads; what became of the first attempt is not known, so this one is sent where nothing can be changed. */
  #runBeside(call: Call, late: PeerClient, vitals: Vitals, other: PeerClient, release: Release): void {
    const { settings, door } = this.#host
    const query = activeQueryOf(late) ?? {}
    const lost = { query: query as PeerQuery, classify: door.classify, isPipelined: false, isDirect: door.isDirect }
    const error = loseSent(late, vitals, lost, noProof(settings.probeTimeoutMillis))
    const loss = lossOf(error)
    if (!loss) return release()
    this.#host.repeating(error, loss)
    this.#run({ ...call, ...asFirstSent(call.sent), secondTry: { loss, how: 'inside READ ONLY' } }, other, release)
  }

  /** `ended` is called first, and says whether it has dealt with it. Returns what changes in the call from now on. */
  #runAs(
    given: Call,
    client: PeerClient,
    release: Release,
    vitals: Vitals,
    ended?: (error: Error | undefined) => boolean,
  ): Pick<Call, 'done' | 'seenText'> | undefined {
    let call = given
    let seen: Pick<Call, 'done' | 'seenText'> | undefined
    let settled = false
    let isSending = true
    const settle: Settle = (error, result) => {
      // pg calls back twice for a value that it cannot bind: the first time before it has returned.
      if (settled) return
      settled = true
      if (isSending) nextTick(() => tell(error, result))
      else tell(error, result)
    }
    const tell: Settle = (error, result) => {
      if (ended?.(error ?? undefined)) return
      if (error) resume(call, () => this.#failed(call, client, release, error))
      else this.#finish(call, vitals, release, result)
    }
    try {
      if (call.secondTry?.how === 'inside READ ONLY') readOnly(client, call, settle)
      else if (call.seenText === undefined && this.#host.isQueryWrapped(client)) {
        seen = sendFirst(client, call, settle)
        call = { ...call, ...seen }
      } else send(client, call, settle)
    } catch (error) {
      settle(error as Error)
    }
    isSending = false
    return seen
  }

  #finish({ done, secondTry, wasRefused }: Call, vitals: Vitals, release: Release, result: pg.QueryResult | undefined): void {
    const { memory } = this.#host
    memory.budget = earn(memory.budget)
    if (wasRefused) this.#standby = undefined
    const { status } = vitals
    release()
    // A READ ONLY transaction of ours whose COMMIT was lost has changed nothing.
    if ((status !== 'T' && status !== 'E') || secondTry?.how === 'inside READ ONLY') return done(undefined, result)
    done(new TransactionOpenError(LEFT_OPEN))
  }

  #failed(call: Call, client: PeerClient, release: Release, error: Error): void {
    const loss = lossOf(error)
    if (!loss && codeOf(error) === READ_ONLY && this.#mayBeStandby(call, client)) return this.#askRole(call, client, release, error)
    const hadSessionState = !call.isAtDoor && this.#host.door.vitalsOf(client).sessionState !== 'none'
    const keeps = this.#mayKeep(client, error)
    if (keeps && isBusy(client)) return this.#whenReady(call, client, release, error)
    release(keeps ? undefined : error)
    if (!loss) return call.done(wasNoRead(error, call.secondTry?.loss) ?? error)
    this.#lost(call, error, loss, { hadSessionState, mayAskForPooler: hingesOnDirectness(loss.evidence) })
  }

  /**
   * The server sends an error at once, and is ready a moment later. A caller that learned of it before would open a connection for its next
   * statement. If the connection ends instead, the error was no answer: a proxy that loses its server may say ERROR, too.
   */
  #whenReady(call: Call, client: PeerClient, release: Release, error: Error): void {
    whenFinished(client, this.#host.settings, (finished) => {
      if (!finished && isBroken(client)) {
        const { door } = this.#host
        const lost = { query: statementOf(call.text), classify: door.classify, isPipelined: false, isDirect: door.isDirect }
        return this.#failed(call, client, release, loseSent(client, door.vitalsOf(client), lost, error))
      }
      release(finished ? undefined : error)
      call.done(wasNoRead(error, call.secondTry?.loss) ?? error)
    })
  }

  /** Sends it again, if that is allowed; or reports what became of it. */
  #lost(call: Call, error: Error, loss: Loss, known: Pick<ResendFacts, 'hadSessionState' | 'mayAskForPooler'>): void {
    const { memory } = this.#host
    const how = judgeResend({
      ...known,
      verdict: loss.verdict,
      isReplayable: !isSubmittable(call.text),
      wasInterrupted: isInterruption(loss.cause),
      isPoolEnding: !call.isAtDoor && this.#host.isEnding(),
      retriesLeft: call.repeats,
      wasSecondTry: call.secondTry !== undefined,
      isIdempotent: isIdempotent(call),
    })
    if (how === 'ask first') return this.#askDirectness(call, error, loss)
    const budget = call.isAtDoor ? memory.budget : spend(memory.budget)
    if (how === 'no' || budget === undefined) return this.#report(call, error, loss)
    memory.budget = budget
    this.#host.repeating(error, loss)
    const isUnknown = loss.verdict.outcome !== 'not-executed'
    this.#send(isUnknown ? { ...call, secondTry: { loss, how } } : { ...call, repeats: call.repeats - 1 })
  }

  #report({ done, secondTry }: Call, error: Error, loss: Loss): void {
    // Lost twice: the error is about the caller's statement, not about the transaction that we put around it, nor about what was never
    // sent.
    const told = secondTry ? judgeAgain({ ...secondTry.loss, cause: loss.cause }, this.#host.door) : error
    this.#host.door.reported(lossOf(told) ?? loss)
    done(told)
  }

  /** A pooler makes up the PID that it reports at login. What PostgreSQL says of itself tells whether there is one. */
  #askDirectness(call: Call, error: Error, loss: Loss): void {
    const ask: ConnectCallback = (failure, client, release) => {
      if (failure || !client) return this.#report(call, error, loss)
      const answered = (unanswered: Error | null, answer: pg.QueryResult<{ pid: number }>) => {
        release(unanswered ?? undefined)
        if (unanswered) return this.#report(call, error, loss)
        const isDirect = answer.rows[0]?.pid === client.processID
        this.#host.memory.isDirect = isDirect
        const known = judgeAgain(loss, { isDirect })
        this.#lost(call, known, lossOf(known) ?? loss, { hadSessionState: false, mayAskForPooler: false })
      }
      sendUnseen(client, 'SELECT pg_backend_pid() AS pid', undefined, (...answer) => resume(call, () => (answered as Answer)(...answer)))
    }
    this.#connect({ ...call, text: undefined }, ask)
  }

  #mayBeStandby({ text, wasRefused, secondTry }: Call, client: PeerClient): boolean {
    if (wasRefused || secondTry?.how === 'inside READ ONLY' || this.#host.isEnding() || isSubmittable(text) || isBroken(client))
      return false
    const { door, settings } = this.#host
    const isOfInterest = this.#isOutdated(client) || mayLookUpAgain(this.#standby, read(settings.clock))
    return isOfInterest && door.vitalsOf(client).status === 'I'
  }

  /** Has another statement detected it before, on a connection of the same generation? */
  #isOutdated(client: PeerClient): boolean {
    return this.#host.door.vitalsOf(client).generation < this.#host.door.generation
  }

  /** A write was refused as read-only. Is that a setting, which the user should learn of, or has the primary become a standby? */
  #askRole(call: Call, client: PeerClient, release: Release, error: Error): void {
    const answered = (unanswered: Error | null, answer: pg.QueryResult<{ standby: boolean }>) => {
      if (unanswered || answer.rows[0]?.standby !== true) {
        release(!unanswered && this.#mayKeep(client, error) ? undefined : error)
        return call.done(error)
      }
      if (!this.#isOutdated(client)) {
        this.#host.door.condemnAll()
        this.#standby = foundStandby(this.#standby, read(this.#host.settings.clock))
      }
      release(true)
      // Connecting looks up the host again. The statement was refused, so it was not executed.
      this.#send({ ...call, wasRefused: true })
    }
    sendUnseen(client, 'SELECT pg_is_in_recovery() AS standby', undefined, answered as Answer)
  }

  #mayKeep(client: PeerClient, error: Error): boolean {
    return (
      this.#host.settings.keepOnSqlError && error instanceof this.#host.driver.DatabaseError && !classify(error)?.ends && !isBroken(client)
    )
  }
}

/** What must be known of it after the driver has forgotten it. */
function statementOf(text: unknown): PeerQuery {
  return { text: typeof text === 'string' ? text : (text as { text?: unknown } | null)?.text, handleError() {} }
}
