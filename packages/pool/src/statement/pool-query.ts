/**
 * `pool.query()`: one statement on whatever connection there is. If the connection is lost, the outcome decides whether the statement may
 * be sent on another: it certainly was not executed, only reads, or was declared idempotent.
 */

import {
  classify,
  currentInvocation,
  earn,
  hasInvocations,
  hingesOnDirectness,
  judgeResend,
  type ResendFacts,
  spend,
  TransactionOpenError,
} from '@thaw/core'
import type pg from 'pg'
import { LEFT_OPEN } from '../connection/client-messages.ts'
import { isInterruption } from '../connection/interruption.ts'
import { asksOnlySettings, howBeside, judgeAgain, type Loss, loseSent, lossOf, wasNoRead } from '../connection/lost-statement.ts'
import { withdrawQuestion } from '../connection/pid-question.ts'
import type { SharedConnection } from '../connection/shared-connection.ts'
import { statements, tracePoolStatement } from '../connection/traced-client.ts'
import { isBroken, type Vitals } from '../connection/vitals.ts'
import { isBusy, whenFinished } from '../connection/when-finished.ts'
import { keepContext } from '../driver/async-context.ts'
import { nextTick } from '../driver/next-tick.ts'
import { activeQueryOf, type ConnectCallback, type PeerClient, type PeerQuery, type Release } from '../driver/peer.ts'
import { type Callback, failLater, firstOf, promisify } from '../driver/promisify.ts'
import { peekAt, statementOf } from '../driver/query-form.ts'
import type { Waiter } from '../driver/waiter.ts'
import { asFirstSent, rememberSent } from './as-first-sent.ts'
import { askPid } from './ask-pid.ts'
import { type Call, isIdempotent, MOST_REPEATS, readOnly, resume, type Settle, send, sendFirst, signalOf, type Wish } from './call.ts'
import { notHandedOver } from './not-handed-over.ts'
import { asPiggybacked, knowsQueryMode, mayPiggyback, noProof, startPiggyback } from './piggyback.ts'
import type { PoolQueryHost } from './pool-query-host.ts'
import { hasWrongName, PreparedStatements, parseAgain, unprepared } from './prepared.ts'
import { joinRead, type SharedReadHost, sendShared, shareRead } from './shared-reads.ts'
import { StandbyWatch } from './standby-watch.ts'
import { unlessReleased } from './unless-released.ts'

export class PoolQueries {
  readonly #host: PoolQueryHost
  readonly #modes: Parameters<typeof mayPiggyback>[2]
  readonly standby: StandbyWatch
  readonly #shared: SharedReadHost | undefined
  /** Undefined: no statement is prepared by itself. */
  readonly #prepared: PreparedStatements | undefined

  constructor(host: PoolQueryHost) {
    this.#host = host
    this.standby = new StandbyWatch(host)
    this.#prepared = host.settings.prepareAfter > 0 ? new PreparedStatements(host.settings, host.memory) : undefined
    this.#modes = { classify: host.checks.classify, hasQueryMode: knowsQueryMode(host.driver.Query) }
    this.#shared = host.sharing && {
      ...host,
      sharing: host.sharing,
      connect: (call, take) => this.#connect({ ...call, ledger: undefined }, take),
      runBeside: (call, late, other, release) => this.#runBeside(call, late, statementOf(call.text), other, release),
      succeeded: ({ done }, result) => {
        host.memory.budget = earn(host.memory.budget)
        done(undefined, result)
      },
      failed: (call, error, since) => call.ledger && this.#failedSharing(call, call.ledger, error, since),
      sendAlone: (call, since) =>
        this.#place({ ...call, ...asFirstSent(call.sent), ledger: undefined, isAlone: true, isAtDoor: true }, since),
    }
  }

  /** With pg-pool's choice of arguments. */
  query(
    PromiseClass: PromiseConstructor,
    text: unknown,
    values: unknown,
    callback: Callback<pg.QueryResult> | undefined,
  ): Promise<pg.QueryResult> | undefined {
    if (typeof text === 'function') {
      const refused = new Error('Passing a function as the first parameter to pool.query is not supported')
      return failLater(PromiseClass, text as Callback<pg.QueryResult>, refused)
    }
    const isTwoArguments = typeof values === 'function'
    const promised = promisify(PromiseClass, isTwoArguments ? (values as Callback<pg.QueryResult>) : callback)
    this.#start(text, isTwoArguments ? undefined : values, promised.callback)
    return promised.result
  }

  #start(text: unknown, values: unknown, done: Callback<pg.QueryResult>): void {
    // Here, where the caller's own span is still the current one: the wrappers of tracing tools come with `connect`.
    if (this.#host.memory.events.hears('thawed')) this.#host.checks.look()
    const context = this.#host.isObserved() ? keepContext() : undefined
    let signal: unknown
    try {
      signal = signalOf(text)
    } catch (thrown) {
      return nextTick(() => done(thrown as Error))
    }
    const given: Call = { text, values, done, signal, invocation: currentInvocation(), context, repeats: MOST_REPEATS }
    this.#place(this.#prepared ? this.#prepared.prepare(given) : given)
  }

  #place(call: Call, place?: number): void {
    const { text, values, done, signal } = call
    const run: ConnectCallback = (failure, client, release) => {
      if (failure || !client) done(failure)
      else this.#run(call.isAtDoor ? { ...call, isAtDoor: false } : call, client, release)
    }
    // pg-pool hands out in the next tick. The difference cannot be seen, and a tick is a tenth of what Thaw costs.
    const shared = this.#shared
    const join = shared?.sharing.moment.mayJoin ? () => joinRead(call, shared) : undefined
    if (place === undefined && signal === undefined && this.#host.takeNow(run, join)) return
    if (place === undefined && shared && shareRead(call, this.#host.waiting.length, shared)) return
    const share: Waiter['share'] = shared && ((before) => resume(call, () => shareRead(call, before, shared)))
    const piggybacks = () => mayPiggyback(text, values, this.#modes)
    this.#connect(call, run, { signal, isAtDoor: call.isAtDoor, mayPiggyback: piggybacks, share, place })
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
    this.#host.checks.reported(secondTry.loss)
    done(judgeAgain(secondTry.loss, this.#host.checks))
  }

  #connect(
    call: Call,
    callback: ConnectCallback,
    wish: Wish = { signal: call.signal, isAtDoor: call.isAtDoor, isUnseen: true },
  ): () => void {
    if (!hasInvocations()) return resume(call, () => this.#host.connect(callback, wish))
    const resumed: ConnectCallback = (...results) => resume(call, () => callback(...results))
    return resume(call, () => this.#host.connect(resumed, wish))
  }

  /** Never throws: a connection that is not given back is lost for ever. */
  #run(call: Call, client: PeerClient, given: Release): void {
    try {
      this.#handOver(call, client, given)
    } catch (thrown) {
      notHandedOver(call, client, this.#host.checks.vitalsOf(client), given, thrown as Error, (error) => this.#notSent(call, error))
    }
  }

  #handOver(call: Call, client: PeerClient, given: Release): void {
    // A wrapper may add to the text, each time something else.
    if (call.plain && (call.secondTry || this.#prepared?.isStale(call) || !this.#host.queryWatch.isPlain(client)))
      return this.#run(unprepared(call), client, given)
    this.#prepared?.tidy(client)
    call.sent ??= rememberSent(call.text, call.values)
    const vitals = this.#host.checks.vitalsOf(client)
    const release = given === vitals.giveBack ? given : unlessReleased(given)
    vitals.isPoolQuery = true
    vitals.isSecondTry = call.secondTry !== undefined
    call.trace?.sentOn(client)
    if (!call.trace && statements.isHeard)
      return tracePoolStatement(client, call, (traced) => this.#run({ ...call, ...traced }, client, release))
    vitals.reader = undefined
    if (vitals.piggybacks) return this.#runPiggybacked(call, client, release, vitals)
    const { sharing } = this.#host
    if (sharing && !call.secondTry) {
      if (this.#shared && sendShared(call, sharing.gather(call, client, vitals, release), this.#shared)) return
      sharing.began(call, client, vitals, release)
      if (sharing.asks(call, vitals, client)) return this.#runAsking(call, client, release, vitals, sharing.ask(client, vitals))
    }
    this.#runAs(call, client, release, vitals)
  }

  /** Which backend answers is asked in the same flight, where the statement can be sent so; or else in front of it. */
  #runAsking(call: Call, client: PeerClient, release: Release, vitals: Vitals, told: (pid: number) => void): void {
    if (mayPiggyback(call.text, call.values, this.#modes)) {
      const asked = { ...call, ...asPiggybacked(call) }
      vitals.askPid = told
      vitals.reader = asked
      return void this.#runAs(asked, client, release, vitals, () => withdrawQuestion(vitals))
    }
    vitals.reader = undefined
    askPid(client, call, told, (error) => (error ? this.#failed(call, client, release, error) : this.#run(call, client, release)))
  }

  /** The probe goes in front. If its reply is late, whichever connection is ready first serves the caller. */
  #runPiggybacked({ done, ...unshared }: Call, client: PeerClient, release: Release, vitals: Vitals): void {
    const extended = asPiggybacked(unshared)
    vitals.piggybacks = false
    const call = { ...unshared, done: firstOf(done) }
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
      this.#runBeside({ ...current, done: besides }, client, activeQueryOf(client) ?? statementOf(call.text), other, releaseOther)
    }
    const wantOther = () => this.#connect(call, take)
    const probe = startPiggyback(client, vitals, { ...settings, hedging, wantOther })
    const seen = this.#runAs({ ...call, ...extended }, client, release, vitals, (error) => {
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

  /** It only reads; what became of the first attempt is not known, so this one is sent where nothing can be changed. Behind others it is only late: that is told if it is lost. */
  #runBeside(call: Call, late: PeerClient, query: PeerQuery, other: PeerClient, release: Release): void {
    const { settings, checks } = this.#host
    const lost = { query, classify: checks.classify, isPipelined: call.ledger !== undefined, isDirect: checks.isDirect }
    const error = loseSent(late, checks.vitalsOf(late), lost, noProof(settings.probeTimeoutMillis))
    const loss = lossOf(error)
    if (!loss) return release()
    if (!call.ledger) this.#host.repeating(error, loss)
    this.#run({ ...call, ...asFirstSent(call.sent), ledger: undefined, secondTry: { loss, how: howBeside(loss) } }, other, release)
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
      if (!isSending) return tell(error, result)
      // It may have been sent by half: no other goes out behind it.
      if (error) vitals.reader = undefined
      nextTick(() => tell(error, result))
    }
    const tell: Settle = (error, result) => {
      if (ended?.(error ?? undefined)) return
      if (error) resume(call, () => this.#failed(call, client, release, error))
      else this.#finish(call, vitals, release, result)
    }
    try {
      if (call.secondTry?.how === 'inside READ ONLY') readOnly(client, call, this.#host.settings, settle)
      else if (call.seenText === undefined && this.#host.queryWatch.isWrapped(client)) {
        seen = sendFirst(client, call, settle)
        call = { ...call, ...seen }
      } else send(client, call, settle)
    } catch (error) {
      settle(error as Error)
    }
    isSending = false
    return seen
  }

  #finish(call: Call, vitals: Vitals, release: Release, result: pg.QueryResult | undefined): void {
    const { memory, sharing } = this.#host
    const { done, secondTry, wasRefused } = call
    memory.budget = earn(memory.budget)
    if (wasRefused) this.standby.forget()
    const { status } = vitals
    if (vitals.reader === call) sharing?.ended(call, vitals)
    if (!call.ledger) release()
    // A READ ONLY transaction of ours whose COMMIT was lost has changed nothing.
    if ((status !== 'T' && status !== 'E') || secondTry?.how === 'inside READ ONLY') return done(undefined, result)
    done(new TransactionOpenError(LEFT_OPEN))
  }

  #failed(call: Call, client: PeerClient, release: Release, error: Error): void {
    if (call.ledger) return this.#failedSharing(call, call.ledger, error)
    this.#host.checks.vitalsOf(client).reader = undefined
    const loss = lossOf(error)
    if (!loss && this.#prepared?.heal(call, client, error)) return this.#sendUnnamed(call, client, release, error)
    if (!loss && this.standby.mayBe(call, client, error)) return this.#askRole(call, client, release, error)
    const hadSessionState = !call.isAtDoor && this.#host.checks.vitalsOf(client).sessionState !== 'none'
    const keeps = this.#mayKeep(client, error, call) && !hasWrongName(call, error)
    if (keeps && isBusy(client)) return this.#whenReady(call, client, release, error)
    release(keeps ? undefined : error)
    if (!loss) return call.done(wasNoRead(error, call.secondTry?.loss) ?? error)
    this.#lost(call, error, loss, { hadSessionState, mayAskForPooler: hingesOnDirectness(loss.evidence) })
  }

  /** The connection is sound: only a name on it was not. */
  #sendUnnamed(call: Call, client: PeerClient, release: Release, error: Error): void {
    const again = (isReady: boolean) => {
      release(isReady && !isBroken(client) ? undefined : error)
      this.#send(unprepared(call))
    }
    if (isBusy(client)) whenFinished(client, this.#host.settings, again)
    else again(true)
  }

  /**
   * The server sends an error at once, and is ready a moment later. A caller that learned of it before would open a connection for its next
   * statement. If the connection ends instead, the error was no answer: a proxy that loses its server may say ERROR, too.
   */
  #whenReady(call: Call, client: PeerClient, release: Release, error: Error): void {
    whenFinished(client, this.#host.settings, (finished) => {
      if (!finished && isBroken(client)) {
        const { checks } = this.#host
        const lost = { query: statementOf(call.text), classify: checks.classify, isPipelined: false, isDirect: checks.isDirect }
        return this.#failed(call, client, release, loseSent(client, checks.vitalsOf(client), lost, error))
      }
      release(finished ? undefined : error)
      call.done(wasNoRead(error, call.secondTry?.loss) ?? error)
    })
  }

  /** The others stay where they are: the ledger gives the connection back when the last has been answered. */
  #failedSharing({ ledger: _, ...call }: Call, ledger: SharedConnection, error: Error, since?: number): void {
    const loss = lossOf(error)
    ledger.lose(error)
    if (!loss && this.#prepared?.heal(call, ledger.client, error)) return this.#shared?.sendAlone(unprepared(call), since)
    if (!loss) parseAgain(call, ledger, error)
    if (!loss) return call.done(error)
    const paid = { ...call, isPaid: ledger.isPaid }
    ledger.isPaid = true
    this.#lost(paid, error, loss, { hadSessionState: false, mayAskForPooler: hingesOnDirectness(loss.evidence) })
  }

  /** Sends it again, if that is allowed; or reports what became of it. */
  #lost(call: Call, error: Error, loss: Loss, known: Pick<ResendFacts, 'hadSessionState' | 'mayAskForPooler'>): void {
    const { memory } = this.#host
    const how = judgeResend({
      ...known,
      verdict: loss.verdict,
      isReplayable: typeof peekAt(call.text, 'submit') !== 'function',
      wasInterrupted: isInterruption(loss.cause),
      isPoolEnding: !call.isAtDoor && this.#host.isEnding(),
      retriesLeft: call.repeats,
      wasSecondTry: call.secondTry !== undefined,
      isIdempotent: isIdempotent(call) || asksOnlySettings(loss),
    })
    if (how === 'ask first') return this.#askDirectness(call, error, loss)
    const budget = call.isAtDoor || call.isPaid ? memory.budget : spend(memory.budget)
    if (how === 'no' || budget === undefined) return this.#report(call, error, loss)
    memory.budget = budget
    this.#host.repeating(error, loss)
    const isUnknown = loss.verdict.outcome !== 'not-executed'
    this.#send(isUnknown ? { ...call, secondTry: { loss, how } } : { ...call, repeats: call.repeats - 1 })
  }

  #report({ done, secondTry }: Call, error: Error, loss: Loss): void {
    // Lost twice: the error is about the caller's statement, not about the transaction that we put around it, nor about what was never sent.
    const told = secondTry ? judgeAgain({ ...secondTry.loss, cause: loss.cause }, this.#host.checks) : error
    this.#host.checks.reported(lossOf(told) ?? loss)
    done(told)
  }

  /** What PostgreSQL says of itself tells whether there is a pooler. */
  #askDirectness(call: Call, error: Error, loss: Loss): void {
    this.#connect({ ...call, signal: undefined }, (failure, client, release) => {
      if (failure || !client) return this.#report(call, error, loss)
      const told = (pid: number) => {
        this.#host.memory.isDirect = pid === client.processID
      }
      askPid(client, call, told, (unanswered) => {
        release(unanswered)
        if (unanswered) return this.#report(call, error, loss)
        const known = judgeAgain(loss, { isDirect: this.#host.checks.isDirect })
        this.#lost(call, known, lossOf(known) ?? loss, { hadSessionState: false, mayAskForPooler: false })
      })
    })
  }

  /** A write was refused as read-only. Is it a setting, which the user should hear of, or has the primary become a standby? */
  #askRole(call: Call, client: PeerClient, release: Release, error: Error): void {
    this.standby.ask(client, (isStandby, hasAnswered) => {
      release(isStandby || (hasAnswered && this.#mayKeep(client, error) ? undefined : error))
      // Connecting looks up the host again. The statement was refused, so it was not executed.
      if (isStandby) this.#send({ ...call, wasRefused: true })
      else call.done(error)
    })
  }

  #mayKeep(client: PeerClient, error: Error, call?: Call): boolean {
    if (!this.#host.settings.keepOnSqlError && !call?.mostMillis) return false
    return error instanceof this.#host.driver.DatabaseError && !classify(error)?.ends && !isBroken(client)
  }
}
