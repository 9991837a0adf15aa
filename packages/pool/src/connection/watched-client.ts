/**
 * The user's Client class, extended so that no statement is silently lost. It records what was known when a statement was sent, reports to the statement's caller what
 * became of it when its connection is lost, probes a connection that was kept for long before the next statement is sent, and enforces a statement's bounds.
 */

import { currentScope, type Scope, ScopeError, saysError } from '@thaw/core'
import { keepCaller } from '../driver/async-context.ts'
import { behindProxies, noteItself } from '../driver/itself.ts'
import { nextTick } from '../driver/next-tick.ts'
import {
  activeQueryOf,
  type ClientClass,
  forgetActiveQuery,
  isSubmittable,
  type PeerClient,
  type PeerClientBase,
  type PeerQuery,
  queuedQueriesOf,
  type ReadyMessage,
  type RowDescription,
  sentQueriesOf,
  textOf,
} from '../driver/peer.ts'
import { queryTimeoutOf } from '../options/times.ts'
import { answerToCommit, isUnreplicated } from './answer-to-commit.ts'
import { whenItsTurn } from './behind-own.ts'
import { ANOTHER_REQUEST, TAKEN_BACK, UNEXPECTED } from './client-messages.ts'
import { type HeldError, holdBack, mustBeHeld } from './held-error.ts'
import { type Bounds, bound, boundsOf, endedByAnother, interruptedBefore, type QueryBounds, withoutTimeout } from './interruption.ts'
import { boundedWhileAsked, proveKept } from './kept-client.ts'
import { type Attached, emitLoss, lose } from './loss-event.ts'
import { isOwners, loseBehind, loseQueued } from './lost-statement.ts'
import { notQueryable } from './not-queryable.ts'
import { isRefusal, refusesOnce } from './once-refused.ts'
import { inOneWrite, isWriting } from './one-write.ts'
import { expectPid, PID_QUESTION } from './pid-question.ts'
import { sendPipelined } from './pipelined.ts'
import { syncFailed } from './portions.ts'
import { beginsWithProof, PROOF } from './probe.ts'
import { describeRows } from './row-template.ts'
import { answerScram } from './scram-keys.ts'
import { noteSessionState } from './session-state.ts'
import type { StatementHost } from './statement-host.ts'
import { owesForeign, staysParsed } from './statement-names.ts'
import { beginBounds, converse, withoutTimer } from './submittable.ts'
import { connects, statements, traceConnect, traceStatement } from './traced-client.ts'
import { type Answer, INNER, makeQuery, UNSEEN } from './unseen.ts'
import { beginSending, noteNews, noteReady, READ_ONLY, type Vitals, WATCHED } from './vitals.ts'

const extended = new WeakMap<object, ClientClass>()

/** The class, extended; the same each time. A factory of something else, whose products have no protocol that we know, is left as it is. */
export function watchedClient(Client: object): object {
  const known = extended.get(Client)
  if (known) return known
  const prototype = (Client as { prototype?: Partial<PeerClientBase> }).prototype
  if (typeof prototype?._errorAllQueries !== 'function' || typeof prototype._pulseQueryQueue !== 'function') return Client
  const made = WATCHED in prototype ? (Client as ClientClass) : behindProxies(extend(Client as ClientClass), 'connect', 'query')
  extended.set(Client, made)
  return made
}

/** Tells a watched client its owner, and where its record is. No effect on any other client. */
export function attach(client: PeerClient, vitals: Vitals, host: StatementHost): void {
  ;(client as unknown as { [WATCHED]?: (vitals: Vitals, host: StatementHost) => void })[WATCHED]?.(vitals, host)
}

function extend(Base: ClientClass): ClientClass {
  return class Client extends Base {
    // Survives minifiers: ORMs look at class names. Not a field: webpack's minifier turns it into an assignment, which throws.
    static override get name(): string {
      return (Base as { name: string }).name
    }

    readonly #self = noteItself(this) as unknown as PeerClient
    readonly #queryTimeoutMillis = queryTimeoutOf(this.connectionParameters.query_timeout)
    #attached: Attached | undefined
    #isRefusing = false
    /** The statement that is passed on now bypasses any wrapper of `query`. */
    #isUnseen = false
    /** What its socket's lifetime is tied to. Undefined: the process. */
    #scope: Scope | undefined
    /** Bounds of statements that have not arrived yet: a user's class may wait for something before it calls pg's `query`. */
    readonly #unbound: { readonly bounds: Bounds; readonly before: PeerQuery | undefined }[] = []
    /** An answer, or the end? The next message tells. */
    #heldError: HeldError | undefined
    /** The bound of the statement that ran, or its signal: it has closed the connection. TLS over a stream of the user's does not say so. */
    #endedBy: Error | undefined;

    [WATCHED](vitals: Vitals, host: StatementHost): void {
      // pg's own timer would reject the caller and leave the statement running, and it lies after a thaw.
      this.connectionParameters.query_timeout = 0
      this.#attached = { vitals, host }
    }

    override connect(callback?: (error: Error) => void): unknown {
      try {
        this.#scope = currentScope()
      } catch (error) {
        if (!callback) return Promise.reject(error)
        return nextTick(() => callback(error as Error))
      }
      if (connects.isHeard) return traceConnect(this.#self, callback, (traced) => super.connect(traced))
      return super.connect(callback)
    }

    override query(config: unknown, values?: unknown, callback?: unknown): unknown {
      // The pool publishes those of `pool.query()`, once for all attempts.
      if (!statements.isHeard || !config || this.#attached?.vitals.isPoolQuery) return this.#route(config, values, callback)
      return traceStatement(this.#self, config, values, callback, (...traced) => this.#route(...traced))
    }

    [UNSEEN](config: unknown, values: unknown, callback: Answer): void {
      this.#isUnseen = true
      try {
        this.#route(config, values, callback)
      } finally {
        this.#isUnseen = false
      }
    }

    get [INNER](): unknown {
      return this.query === Client.prototype.query ? super.query : undefined
    }

    /** As it was called: wrappers look for a callback in the last place. */
    #pass(config: unknown, values: unknown, callback: unknown): unknown {
      if (this.#isUnseen) return this.#enqueue(config, values, callback as Answer)
      if (callback !== undefined) return super.query(config, values, callback)
      return values === undefined ? super.query(config) : super.query(config, values)
    }

    #enqueue(config: unknown, values: unknown, callback: Answer): void {
      const query = makeQuery(this, config, values, callback)
      if (!query) return void super.query(config, values, callback)
      if (!this._queryable || this._ending) return this.#fail(query, notQueryable(this.#attached?.vitals))
      queuedQueriesOf(this).push(query)
      this._pulseQueryQueue()
    }

    #route(config: unknown, values?: unknown, callback?: unknown): unknown {
      const attached = this.#attached
      // The runtime's socket would hide that it must not be used here, and wait forever.
      if (this.#scope && !this.#scope.isCurrent())
        return this.#refuse(new ScopeError({ message: ANOTHER_REQUEST }), () => this.#pass(config, values, callback))
      // No caller has it: a promise chain that was not awaited, or a listener, continues on a client that was released.
      if (attached && (attached.vitals.state === 'idle' || attached.vitals.state === 'probing')) attached.host.strayed(this.#self)
      if (attached?.vitals.ledger?.isAdding === false) attached.vitals.ledger.close()
      if (!attached || !config) return this.#pass(config, values, callback)
      if (isSubmittable(config)) return this.#querySubmittable(attached, config as PeerQuery, keepCaller(values), callback)
      // A pool's own statements keep it by themselves.
      if (attached.vitals.isPoolQuery) return this.#query(attached, config as object, values, callback)
      const refusal = typeof config === 'object' ? refusesOnce(config) : undefined
      if (refusal) return this.#refuse(refusal, () => this.#pass(config, values, callback))
      return this.#query(attached, config as object, keepCaller(values), keepCaller(callback))
    }

    #query(attached: Attached, config: object | string, values: unknown, callback: unknown): unknown {
      const own = typeof config === 'object' ? (config as QueryBounds & { text?: unknown }) : undefined
      const listened = noteSessionState(this.#self, attached.vitals, attached.host, own ? own.text : config)
      const bounds = boundsOf(own, this.#queryTimeoutMillis, attached.vitals.ledger?.begins ?? beginsWithProof(attached.vitals))
      if (!bounds && this._queryable && !attached.vitals.sent && !listened) return this.#pass(config, values, callback)
      const plain = typeof config === 'object' && 'query_timeout' in config ? withoutTimeout(config) : config
      const over =
        interruptedBefore(bounds) ??
        (this._queryable ? undefined : attached.vitals.takenBack ? new Error(TAKEN_BACK) : notQueryable(attached.vitals))
      if (over) return this.#refuse(over, () => this.#pass(plain, values, callback))
      const before = this.#newest
      const result = this.#pass(plain, values, callback)
      const query = this.#newest
      // pg may have refused it without queueing it.
      if (query && query !== before) {
        // Its bounds are inside: they end with each attempt.
        attached.vitals.sent?.(query)
        listened?.(query)
        if (bounds) this.#bind(attached, query, bounds)
      } else if (bounds && this._queryable !== false && !this._ending) this.#unbound.push({ bounds, before })
      return result
    }

    #querySubmittable(attached: Attached, query: PeerQuery, values: unknown, callback: unknown): unknown {
      const { vitals, host } = attached
      noteSessionState(this.#self, vitals, host, textOf(query))?.(query)
      const bounds = boundsOf(query as QueryBounds, this.#queryTimeoutMillis)
      converse(query, bounds, { clock: host.clock, client: this.#self, interrupt: (reason) => this.#interrupt(host, query, reason) })
      const over = interruptedBefore(bounds)
      const enqueue = () => withoutTimer(query, () => this.#pass(query, values, keepCaller(callback)))
      if (over) return this.#refuse(over, enqueue)
      const result = enqueue()
      beginBounds(query, vitals.asking, host.probeTimeoutMillis)
      return result
    }

    get #newest(): PeerQuery | undefined {
      return queuedQueriesOf(this).at(-1) ?? sentQueriesOf(this).at(-1) ?? activeQueryOf(this)
    }

    /** pg creates the query and its promise, and we answer it, without sending a byte. */
    #refuse(error: Error, enqueue: () => unknown): unknown {
      const { _queryable, _ending } = this
      const queue = queuedQueriesOf(this)
      const { length } = queue
      this.#isRefusing = true
      this._queryable = true
      this._ending = false
      try {
        return enqueue()
      } finally {
        this.#isRefusing = false
        this._queryable = _queryable
        this._ending = _ending
        // pg may have refused it itself.
        for (const query of queue.splice(length)) this.#fail(query, isRefusal(error) ? error : this.#loseBehind(query, error))
      }
    }

    /** The query that pg has just created is bounded. */
    #bind({ host, vitals }: Attached, query: PeerQuery, bounds: Bounds): void {
      const done = query.callback
      const lift = bound(host.clock, boundedWhileAsked(bounds, vitals, host), (reason) => this.#interrupt(host, query, reason))
      query.callback = (error, answer) => {
        lift()
        done?.(error, answer)
      }
    }

    #bindLate(attached: Attached): void {
      const [first] = this.#unbound
      const query = this.#newest
      if (!first || !query || query === first.before) return
      this.#unbound.shift()
      this.#bind(attached, query, first.bounds)
    }

    #interrupt(host: StatementHost, query: PeerQuery, reason: Error): void {
      const index = queuedQueriesOf(this).indexOf(query)
      const { ledger } = this.#attached?.vitals ?? {}
      const isUnsent = index === -1 ? ledger?.withdraw(query) : queuedQueriesOf(this).splice(index, 1)
      if (isUnsent) return this.#fail(query, loseQueued(this.#self, reason))
      if (ledger?.abandon(query)) return this.#fail(query, reason)
      whenItsTurn(this.#self, query, host.clock, () => {
        this.#endedBy = reason
        host.requestCancel(this.#self)
        this.connection.stream.destroy(reason)
      })
    }

    override _pulseQueryQueue(): void {
      const attached = this.#attached
      // The ledger sends it, with others.
      if (this.#isRefusing || attached?.vitals.ledger?.isAdding) return
      if (this.#unbound.length > 0 && attached && queuedQueriesOf(this).length > 0) this.#bindLate(attached)
      // pg has one buffer for what it writes on all connections.
      if (isWriting()) return nextTick(() => this._pulseQueryQueue())
      if (attached && this.pipeline) return sendPipelined(this.#self, attached.vitals, () => super._pulseQueryQueue())
      if (!attached || this.readyForQuery !== true || queuedQueriesOf(this).length === 0) return super._pulseQueryQueue()
      if (attached.vitals.asking) return
      if (!attached.vitals.isPoolQuery && (attached.host.mustProve(this.#self) || owesForeign(this.#self))) return this.#ask(attached)
      this.#submit(attached)
    }

    #submit({ vitals, host: { submitting } }: Attached): void {
      const { owed, askPid } = vitals
      const front = owed?.to === 'piggybacked' ? PROOF : askPid && PID_QUESTION
      const { stream } = this.connection
      const isFlight = front !== undefined || submitting !== undefined
      const sending = beginSending(vitals, stream)
      // One write: the probe, and the statement behind it.
      if (isFlight) stream.cork?.()
      try {
        submitting?.(this.#self, vitals)
        if (front) stream.write(front)
        inOneWrite(this.#self, vitals, () => super._pulseQueryQueue())
      } finally {
        if (isFlight) stream.uncork?.()
        if (front === PID_QUESTION) expectPid(this, vitals)
        // A socket that is in error when the write returns took none of its bytes: the kernel refused them, all at once. (A
        // write that succeeds proves nothing: with an unread FIN in the kernel it succeeds too.)
        sending.isRefused = stream.errored != null
      }
    }

    #ask(attached: Attached): void {
      const alive = () => {
        if (queuedQueriesOf(this).length > 0) this.#submit(attached)
        // Its caller has aborted it meanwhile, and no answer comes that would say that the client is free.
        else this.emit('drain')
      }
      const dead = (lost: Error) => {
        this._errorAllQueries(lost)
        this.connection.stream.destroy(lost)
      }
      proveKept(this.#self, attached.vitals, attached.host, alive, dead)
    }

    override _handleErrorMessage(message: Error): void {
      if (this.#attached && (message as { code?: unknown }).code === READ_ONLY) this.#attached.vitals.refusedWrite = true
      const query = activeQueryOf(this)
      if (this.#attached && saysError(message)) syncFailed(this.#attached.vitals, query, this.connection)
      if (!this.#attached || !query || !mustBeHeld(message, query)) return super._handleErrorMessage(message)
      // The first one has the reason: a pooler passes on the server's, and adds that it has lost it.
      this.#heldError ??= holdBack(message, this.#attached.host.clock, () => this.connection.stream.destroy(message))
    }

    override _handleErrorEvent(error: Error): void {
      if (!this.#attached || this._connecting) return super._handleErrorEvent(error)
      this._queryable = false
      this._errorAllQueries(error)
      emitLoss(this.#self, this.#attached, this.#endedBy ?? error)
    }

    #takeHeldError(): Error | undefined {
      const held = this.#heldError
      held?.deadline.cancel()
      this.#heldError = undefined
      return held?.error
    }

    override _errorAllQueries(given: Error): void {
      const error = this.#endedBy ?? given
      const attached = this.#attached
      const shared = attached?.vitals.ledger?.takeAll()
      const cause = this.#endedBy ? endedByAnother() : error
      if (!attached || (this._ending && !shared && isOwners(attached.vitals, error))) return super._errorAllQueries(error)
      const active = activeQueryOf(this)
      const held = this.#takeHeldError()
      if (held) attached.host.ended(this.#self, held)
      forgetActiveQuery(this)
      if (active)
        this.#fail(active, lose(this.#self, attached, active, held ?? error, this.pipeline === true || shared?.isHeadAhead === true))
      const ahead = [...(shared?.sent ?? []), ...sentQueriesOf(this).splice(0)]
      for (const query of ahead) this.#fail(query, lose(this.#self, attached, query, cause, true))
      for (const query of [...(shared?.unsent ?? []), ...queuedQueriesOf(this).splice(0)]) this.#fail(query, this.#loseBehind(query, cause))
      super._errorAllQueries(error)
    }

    #loseBehind(query: PeerQuery, cause: Error): Error {
      return this.#attached ? loseBehind(this.#self, this.#attached.vitals, query, cause) : loseQueued(this.#self, cause)
    }

    #fail(query: PeerQuery, error: Error): void {
      // As in pg: no user callback runs inside the socket's.
      nextTick(() => query.handleError(error, this.connection))
    }

    override _handleReadyForQuery(message: ReadyMessage): void {
      const attached = this.#attached
      const held = this.#takeHeldError()
      if (held) super._handleErrorMessage(held)
      if (!attached) return super._handleReadyForQuery(message)
      const { vitals } = attached
      const { owed, status, ledger } = vitals
      // After the end of its statement, no piggybacked probe is answered any more: its Parse has failed, with the rest of the write.
      vitals.owed = undefined
      // Between a login and a statement the server sends nothing by itself. Whose message this is, and whose the next ones are, is unknown.
      if (!owed && status !== undefined && this.readyForQuery === true) return void this.connection.stream.destroy(new Error(UNEXPECTED))
      noteReady(vitals, attached.host.clock, message)
      attached.host.noteStandstill?.(vitals.provenAt)
      noteNews(vitals, this.#self)
      // Not for pg, which would take it for the answer to a statement that was sent behind the probe.
      if (owed?.to === 'probe') return owed.answered()
      return ledger ? ledger.ready(message, () => super._handleReadyForQuery(message)) : super._handleReadyForQuery(message)
    }

    override async _handleAuthSASLContinue(message: { readonly data: string }): Promise<void> {
      if (!(await answerScram(this, this.#attached?.host.scramKeys, message.data))) await super._handleAuthSASLContinue(message)
    }

    /** The probe's own reply is not the statement's: pg would take a named one for parsed. */
    override _handleParseComplete(message: object): void {
      const owed = this.#attached?.vitals.owed
      if (!this.#attached || owed?.to !== 'piggybacked')
        return staysParsed(activeQueryOf(this)) ? super._handleParseComplete(message) : undefined
      this.#attached.vitals.owed = undefined
      owed.answered()
    }

    override _handleNotice(message: object): void {
      if (this.#attached && isUnreplicated(message)) this.#attached.vitals.sending.isUnreplicated = true
      super._handleNotice(message)
    }

    override _handleCommandComplete(message: { text: string }): void {
      if (this.#attached) answerToCommit(this, this.#attached.host, message.text)
      // Here pg sends its Sync.
      if (this.#attached) this.#attached.vitals.unsynced = undefined
      super._handleCommandComplete(message)
      this.#attached?.vitals.ledger?.completed()
    }

    override _handleRowDescription(message: RowDescription): void {
      if (!describeRows(activeQueryOf(this), message, super._handleRowDescription)) super._handleRowDescription(message)
    }

    override _handleEmptyQuery(message: object): void {
      super._handleEmptyQuery(message)
      this.#attached?.vitals.ledger?.completed()
    }
  }
}
