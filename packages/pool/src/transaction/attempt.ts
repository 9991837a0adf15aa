/**
 * One try of a transaction, on one connection. BEGIN, and what has to be known should COMMIT be lost, go in the flight of the first statement, in front of it; behind each statement that may
 * write the transaction's id is asked for, until there is one.
 */

import { CommitRolledBackError, TransactionUseError } from '@thaw/core'
import { interruptedBefore, isInterruption } from '../connection/interruption.ts'
import { isBroken } from '../connection/vitals.ts'
import { isBusy, whenFinished } from '../connection/when-finished.ts'
import type { PeerClient } from '../driver/peer.ts'
import { ASK_WHO, type Backend, backendOf, knownBackend, noteBackend, tellsNothing, vitalsOf } from './backend.ts'
import { beginAlone } from './begin-alone.ts'
import { ByHand } from './by-hand.ts'
import { textOf, timeoutOf } from './config.ts'
import { type FlightHost, type FlightStatement, fly, flyOwn, type Landing } from './flight.ts'
import { type FlightTag, noteRefused, tagOf } from './flight-tag.ts'
import { Line } from './line.ts'
import { ASK_XID, hasUnseenEffect, TAKE_XID, xidOf } from './own-xid.ts'
import { afterItsEnd, ENDED_BY_HAND, FAILED_BEFORE, TELLS_NOTHING } from './refused-use.ts'
import { hasOwnProtocol, type Submittable, turnOf } from './submittable-in-line.ts'
import { placeOfQuestion, takesNoSnapshot, withoutWho, withWho } from './who-first.ts'
import { withSignal } from './with-signal.ts'

export interface AttemptHost extends FlightHost {
  /** Undefined: not known yet. False: this database has no functions that tell who it is. Then nothing is asked any more. */
  tells: boolean | undefined
}

export class Attempt {
  readonly client: PeerClient
  readonly byHand: ByHand
  readonly #host: AttemptHost
  readonly #begin: string
  readonly #signal: AbortSignal | undefined
  #state: 'unbegun' | 'beginning' | 'begun' = 'unbegun'
  /** Held while it begins. */
  readonly #line = new Line()
  /** Why BEGIN failed, by itself. */
  #notBegun: Error | undefined
  #backend: Backend | undefined
  #xid: bigint | null | undefined = null
  /** Something may have written since the id was last asked for. */
  #mayHaveXid = false
  /** Something may have an effect that no id tells of: it is given one. */
  #needsXid = false
  /** The server refuses writes. Until SET: that may have been SET TRANSACTION READ WRITE. */
  #refusesWrites: boolean
  /** The first statement that failed: it explains why the transaction did. */
  firstFailure: Error | undefined
  #misuse: Error | undefined
  /** Its function has ended: what still waits to be sent would be sent behind the end of the transaction. */
  #isClosed = false
  #isAbandoned = false
  #cutShort: Error | undefined
  #interruption: Error | undefined
  #hasAskedWho = false
  /** By which its backend is found where the login tells none. */
  tag: FlightTag | undefined
  /** It has to be run once more, from the beginning: without our questions, which have broken it. */
  isInVain = false

  constructor(client: PeerClient, host: AttemptHost, begin: string, signal: AbortSignal | undefined) {
    this.client = client
    this.byHand = new ByHand(client, () => this.#state === 'begun')
    this.#host = host
    this.#begin = begin
    this.#signal = signal
    this.#refusesWrites = this.isReadOnly
  }

  /** On purpose: no server takes its writes. */
  get isReadOnly(): boolean {
    return this.#begin.includes('READ ONLY')
  }

  get hasBegun(): boolean {
    return this.#state !== 'unbegun'
  }

  get backend(): Backend | undefined {
    return this.#backend ?? knownBackend(this.client)
  }

  /** Null: it has changed nothing. Undefined: not known. */
  get xid(): bigint | null | undefined {
    return this.#mayHaveXid ? undefined : this.#xid
  }

  /** What its client has refused to do. Whatever the function makes of that error: it believes of the transaction what is not so, and nothing of it may be stored. */
  get misuse(): Error | undefined {
    return this.#misuse ?? this.byHand.ended
  }

  /** Returns the error, to be thrown. */
  noteMisuse<Refusal extends Error>(error: Refusal): Refusal {
    this.#misuse ??= error
    return error
  }

  /** From now on nothing of its function is sent. What has no promise, and was called before, still is. `reason`: its caller has not waited for its end. */
  close(reason?: Error): void {
    this.#isClosed = true
    this.#cutShort = reason
  }

  /** What its function is told that goes on nevertheless. */
  get afterItsEnd(): Error {
    return this.#cutShort ?? afterItsEnd()
  }

  /** It will not be stored: nor is what still waits. */
  abandon(): void {
    this.#isAbandoned = true
    this.#line.refuseAll(this.afterItsEnd)
  }

  /** Resolves when all that its function called for is with the client. */
  async whenSent(): Promise<void> {
    if (this.#line.isHeld) await this.#line.whenSent()
  }

  /** It has not begun because it could not, whatever its function made of that. */
  get failureToBegin(): Error | undefined {
    if (this.hasBegun) return undefined
    return this.#notBegun ?? (this.isBroken ? this.firstFailure : undefined)
  }

  get isBroken(): boolean {
    return isBroken(this.client)
  }

  /** Why its caller wants no more of it, or has ended its connection: whatever the function makes of it, it is not stored, and not run again. */
  get interruption(): Error | undefined {
    const over = interruptedBefore({ timeoutMillis: 0, signal: this.#signal })
    return over ?? (this.isBroken ? this.#interruption : undefined)
  }

  /** A statement of the user's. */
  async run(config: unknown, values: unknown): Promise<unknown> {
    try {
      const statement = { config: withSignal(config, this.#signal), values }
      return await this.#line.inTurn(() => this.#run(statement))
    } catch (error) {
      this.firstFailure ??= error as Error
      if (error instanceof Error && isInterruption(error)) this.#interruption ??= error
      throw error
    }
  }

  /** A cursor, a stream: pg hands it back at once. It is sent in its turn. */
  submit(query: Submittable & object, callback: unknown): unknown {
    const text = textOf(query) ?? textOf((query as { cursor?: unknown }).cursor)
    const said = text === undefined ? WRITE : this.#refuseByHand(text)
    this.#needsXid ||= hasUnseenEffect(said, text)
    if (this.#state === 'begun' && !this.#line.isHeld) return this.#submitNow(query, callback)
    const failed = (error: Error) => {
      this.firstFailure ??= error
    }
    const send = (mayBeSent: () => boolean) => this.#behindBegin(() => mayBeSent() && this.#submitNow(query, callback), text)
    this.#line.take(turnOf(query, callback, send, failed))
    return query
  }

  #submitNow(query: object, callback: unknown): unknown {
    this.#mayHaveXid = this.#xid == null
    return this.client.query(query as never, callback as never)
  }

  /** Several in one flight, which does not end the transaction. */
  async runAll(statements: readonly FlightStatement[]): Promise<unknown[]> {
    this.#needsXid = statements.some(({ config }) => hasUnseenEffect(this.#host.classify(textOf(config) ?? ''), textOf(config)))
    const landing = await this.#fly(statements, true, statements.map(({ config }) => textOf(config)).join('; '))
    if (landing.error) {
      this.firstFailure ??= landing.error
      throw landing.error
    }
    return [...landing.results]
  }

  async #run(statement: FlightStatement): Promise<unknown> {
    this.#refuseAfterItsEnd()
    const text = textOf(statement.config)
    const said = text === undefined ? WRITE : this.#refuseByHand(text)
    const { kind } = said
    this.#needsXid ||= hasUnseenEffect(said, text)
    if (takesNoSnapshot(text)) this.#refusesWrites = false
    // What looks like a read may call a function that writes: only the server knows.
    const writes = kind !== 'read' || !this.#refusesWrites
    if (kind === 'unknown' || hasOwnProtocol(statement.config, text)) {
      return this.#behindBegin(() => {
        this.#mayHaveXid = this.#xid == null
        return this.client.query(statement.config as string, statement.values as unknown[])
      }, text)
    }
    // An ordinary statement, once the id is known or not wanted.
    if (this.#state === 'begun' && (!writes || !this.#asksXid)) {
      // Whether it has an id now is not known.
      if (writes) this.#mayHaveXid = this.#xid == null
      return this.client.query(statement.config as string, statement.values as unknown[])
    }
    const landing = await this.#fly([statement], writes, text ?? '')
    if (landing.error) throw landing.error
    return landing.results[0]
  }

  #refuseByHand(text: string): ReturnType<AttemptHost['classify']> {
    const said = this.#host.classify(text)
    const refusal = this.byHand.refusal(said, text)
    if (refusal) throw this.noteMisuse(refusal)
    return said
  }

  /**
   * While BEGIN is on its way, its function may end. Between the look at the state and what is sent there is no `await`: of several statements that were issued at once one begins, and the
   * others wait until it has. Otherwise, should that one not be sent after all, they would be stored outside of any transaction.
   */
  #refuseAfterItsEnd(): void {
    if (this.#isClosed) throw this.noteMisuse(this.afterItsEnd)
  }

  get #asksXid(): boolean {
    return this.#xid == null && this.#host.tells !== false
  }

  get #isUnacquainted(): boolean {
    return !this.#hasAskedWho && this.#host.tells !== false && !knownBackend(this.client)
  }

  get #question(): FlightStatement {
    return this.#needsXid ? TAKE_XID : ASK_XID
  }

  /** Results and places are those of the statements; what is ours in front and behind is kept. */
  async #fly(statements: readonly FlightStatement[], writes: boolean, text: string): Promise<Landing> {
    const begins = this.#state === 'unbegun'
    const early = placeOfQuestion(statements)
    const isEarly = early === statements.length
    const isUnacquainted = this.#isUnacquainted
    const asksWho = !isEarly && isUnacquainted
    const asksXid = !isEarly && writes && this.#asksXid
    if (asksWho) {
      this.#hasAskedWho = true
      this.tag ??= tagOf(this.#host.memory, this.#host.settings.clock)
    }
    const before = begins ? [{ config: this.#begin, flushes: isEarly && isUnacquainted }] : []
    const end = before.length + statements.length
    const at = asksWho ? before.length + early : Number.POSITIVE_INFINITY
    const plain = [...before, ...statements]
    const asking = asksWho ? withWho(plain, at, (backend) => this.#noteBackend(backend), this.tag) : plain
    // Only one statement by itself has a signal of its own.
    const signal = (statements[0]?.config as { signal?: unknown } | null)?.signal ?? this.#signal
    const query_timeout = timeoutOf(statements)
    if (begins) this.#state = 'beginning'
    if (begins) this.#line.hold()
    // Should its answer be lost: nothing of it is stored before COMMIT.
    const judgedBy = begins ? 'BEGIN' : text
    const flown = fly(this.client, this.#host, asksXid ? [...asking, this.#question] : asking, {
      signal,
      query_timeout,
      text: judgedBy,
      shown: text,
      shownAt: asking.length - 1,
      isAnsweredAtOnce: isUnacquainted && (asksWho ? early === 0 : begins),
    })
    const { results, error, failedAt, isRefused } = withoutWho(await flown, at)
    const isOurs = isRefused || failedAt >= end
    if (error && isOurs && tellsNothing(error) && !this.isBroken) {
      noteRefused(this.#host, this.tag, error)
      return this.#withoutAsking(statements, writes, text, begins)
    }
    if (asksXid && !error) this.#noteXid(xidOf(results.at(-1)))
    else if (writes && !isEarly) this.#mayHaveXid = this.#xid == null
    // Behind what is known of its id: those that wait may write.
    if (begins) this.#began(results[0] !== undefined)
    const own = results.slice(before.length, end)
    return { results: own, failedAt: failedAt - before.length, ...(error && { error }) }
  }

  /** This database has no such functions: the transaction begins anew, and nothing is asked any more. Possible only while it has just begun. */
  async #withoutAsking(statements: readonly FlightStatement[], writes: boolean, text: string, begins: boolean): Promise<Landing> {
    this.#hasAskedWho = false
    this.tag = undefined
    if (!begins) throw this.#goneInVain()
    try {
      await flyOwn(this.client, this.#host, 'ROLLBACK')
    } catch (error) {
      this.#began(false)
      throw error
    }
    this.#state = 'unbegun'
    return this.#fly(statements, writes, text)
  }

  #goneInVain(): TransactionUseError {
    this.isInVain = true
    return new TransactionUseError({ message: TELLS_NOTHING })
  }

  #noteBackend(backend: Backend | undefined): void {
    this.#hasAskedWho = true
    this.#backend = backend
    this.#host.memory.hasKeyTable ??= backend?.hasKeyTable
    noteBackend(this.client, backend)
  }

  #noteXid(xid: bigint | null | undefined): void {
    this.#mayHaveXid = xid === undefined
    this.#xid = xid ?? null
  }

  /** Or has not. Those that wait go on. */
  #began(hasBegun: boolean): void {
    this.#state = hasBegun ? 'begun' : 'unbegun'
    this.#line.letGo()
  }

  /** For what cannot go out together with BEGIN. `send` runs as soon as the transaction has begun, ahead of those that wait. */
  async #behindBegin<Sent>(send: () => Sent, text?: string): Promise<Awaited<Sent>> {
    const begin = this.#state === 'unbegun' ? this.#begin : undefined
    // It began with a savepoint, and what comes cannot carry the question. Behind a pooler nothing that is silent is asked about.
    const asksAlone = text !== undefined && this.#isUnacquainted && this.#host.memory.isDirect !== false && !takesNoSnapshot(text)
    if (!begin && !asksAlone) return await send()
    let sent: Sent
    if (begin) this.#state = 'beginning'
    this.#line.hold()
    try {
      const told = (backend: Backend | undefined) => this.#noteBackend(backend)
      this.tag = (await beginAlone(this.client, this.#host, begin, text, told)) ?? this.tag
    } catch (error) {
      if (begin) this.#notBegun = error as Error
      this.#began(!begin)
      throw !begin && tellsNothing(error as Error) ? this.#goneInVain() : error
    }
    this.#state = 'begun'
    // Behind ROLLBACK it would be stored by itself.
    if (this.#isAbandoned) throw this.afterItsEnd
    try {
      sent = send()
    } finally {
      this.#line.letGo()
    }
    return await sent
  }

  /** What failed has been undone. */
  forgive(): void {
    this.firstFailure = undefined
  }

  /** For a savepoint, or its end. */
  async control(text: string): Promise<void> {
    await this.#line.inTurn(async () => {
      this.#refuseAfterItsEnd()
      await this.#behindBegin(() => flyOwn(this.client, this.#host, text))
    })
  }

  /** Throws whatever COMMIT was answered with, or the loss of its answer. False: its wait for the replicas was ended. */
  async commit(): Promise<boolean> {
    const { status } = vitalsOf(this.client) ?? {}
    if (status === 'E') throw new CommitRolledBackError(FAILED_BEFORE)
    // What was lost with the flight that began it was never answered by that.
    if (status === 'I' && !this.isBroken) throw new TransactionUseError({ message: ENDED_BY_HAND })
    if (this.#mayHaveXid && this.#asksXid) await this.#askXid()
    // A timer of its function's may have used the client meanwhile.
    if (this.misuse) throw this.misuse
    this.byHand.stop()
    const isAnsweredAtOnce = this.xid === null
    const landing = await fly(this.client, this.#host, [{ config: 'COMMIT' }], { text: 'COMMIT', ends: true, isAnsweredAtOnce })
    if (landing.error) throw landing.error
    if ((landing.results[0] as { command?: string }).command === 'ROLLBACK') throw new CommitRolledBackError(FAILED_BEFORE)
    return !landing.isUnreplicated
  }

  async #askXid(): Promise<void> {
    const questions = this.#host.tells !== false && !this.backend ? [ASK_WHO, this.#question] : [this.#question]
    const { results, error } = await fly(this.client, this.#host, questions, { text: 'BEGIN', isAnsweredAtOnce: true })
    if (error) throw error
    if (questions.length > 1) this.#noteBackend(backendOf(results[0]))
    this.#noteXid(xidOf(results.at(-1)))
  }

  /** False: a cursor or a stream is open without a reader. What is sent behind it is never answered. */
  async isQuiet(): Promise<boolean> {
    return !isBusy(this.client) || new Promise<boolean>((resolve) => whenFinished(this.client, this.#host.settings, resolve))
  }

  /** Has its function forgotten a cursor or a stream? Not if its connection is lost, which whatever is sent next will tell. */
  async isLeftOpen(): Promise<boolean> {
    return !(await this.isQuiet()) && !this.isBroken
  }

  /** Resolves when nothing of it is left. 0: as long as the pool waits for any statement. Throws if that is not certain; the connection must then be closed. */
  async rollback(query_timeout: number): Promise<void> {
    this.byHand.stop()
    await flyOwn(this.client, this.#host, 'ROLLBACK', query_timeout)
  }
}

const WRITE = { kind: 'write', mayCommit: false } as const
