/**
 * The pool: everything that is remembered about connections. The story in order: `connect` puts a caller into pg-pool's
 * queue; `_pulseQueue` lends the idle connections that pass the gate, has the others proven, and dials for who is left.
 */

import {
  blamesSilence,
  classify,
  codeOf,
  createEvents,
  type Deadline,
  earn,
  elapsedMillis,
  fatalSilenceMillis,
  judge,
  learnDeath,
  learnSurvival,
  LATE_MILLIS,
  OptionError,
  type Reading,
  type RetryBudget,
  read,
  type ShortestDeath,
  type StaleReason,
  spend,
  startDeadline,
  sweep,
  type ThawEvent,
  type ThawListener,
  TransactionOpenError,
  BUDGET_TOKENS,
  weighFreeze,
} from '@thaw/core'
import pg from 'pg'
import { acquireTimeout, connectError } from './dial-failure.ts'
import { type Dial, Dialler, wasReached } from './dialler.ts'
import { checkEndOptions, type EndOptions, type PoolConfig, preparePoolOptions, type Settings, settingsOf } from './options.ts'
import { type ConnectCallback, type IdleListener, type PeerClient, type PendingItem, peerPool, type Release } from './peer.ts'
import { probe } from './probe.ts'
import { type Callback, promisify } from './promisify.ts'
import { isBroken, standing, type Vitals, watch } from './vitals.ts'

/** A caller in the queue. */
interface Waiter extends PendingItem {
  /** When it began to wait, on the monotonic clock; later, if the process was frozen meanwhile. */
  since: number
}

/** An address that has never answered in this process may be a typing error: that must not cost ten seconds. */
const UNREACHED_PATIENCE_MILLIS = 800
/** Of its maximal lifetime a connection gets a random share between this and all, so that a pool does not renew itself at once. */
const LEAST_LIFETIME_SHARE = 0.9
/** How long a server may take to close its end of a connection that we have left, before we close ours by force. */
const CLOSE_MILLIS = 1000
/** How often a statement that was certainly not executed is sent again: two deaths in a row are luck, three are an outage. */
const MOST_REPEATS = 2

/** What happened so far, by the names of the events, and what is there now. */
export type PoolStats = Readonly<Record<ThawEvent['type'] | 'total' | 'idle' | 'waiting' | 'generation', number>>

class ThawPool extends peerPool<Waiter>() {
  // A literal: minifiers rename classes, and ORMs look for "Pool" in the name.
  static override readonly name: string = 'Pool'

  readonly #settings: Settings
  readonly #events = createEvents()
  readonly #counts: Record<ThawEvent['type'], number> = {
    thawed: 0,
    swept: 0,
    probed: 0,
    stale: 0,
    connected: 0,
    acquired: 0,
    retried: 0,
    drained: 0,
  }
  readonly #vitals = new WeakMap<PeerClient, Vitals>()
  readonly #dialler: Dialler
  #generation = 0
  #doubtedAt = Number.NEGATIVE_INFINITY
  #lastLook: Reading | undefined
  #shortestDeath: ShortestDeath = Number.POSITIVE_INFINITY
  #sweeping = false
  #isUnlent = false
  #budget: RetryBudget = BUDGET_TOKENS
  #alarm: Deadline | undefined
  #alarmAt = Number.POSITIVE_INFINITY
  #lastFailure: { readonly error: Error; readonly dial: Dial } | undefined

  constructor(config?: PoolConfig, Client?: unknown) {
    super(preparePoolOptions(config, Client))
    refuseNative(this.Client)
    this.#settings = settingsOf(config ?? {})
    this.#dialler = new Dialler({
      clock: this.#settings.clock,
      asksPassword: typeof this.options.password === 'function',
      open: (done) => this.#open(done),
      opened: (client, release, dial) => this.#opened(client, release, dial),
      failed: (error, dial, final) => this.#dialFailed(error, dial, final),
      remainingMillis: () => this.#remainingMillis(),
      retrying: (error, delayMillis) => this.#tellRetried('dial', delayMillis, error),
      resume: () => this._pulseQueue(),
    })
  }

  // ------------------------------------------------------------------ acquire

  connect(callback?: ConnectCallback): Promise<PeerClient> | undefined {
    if (this.ending) return this.#refuse(callback as Callback<PeerClient>)
    const promised = promisify<PeerClient>(this.Promise, callback as Callback<PeerClient> | undefined)
    this._pendingQueue.push({ callback: promised.callback as ConnectCallback, since: this.#settings.clock.mono() })
    // pg-pool's own timing: an idle client is lent in the next tick, a new one is dialled at once.
    if (this._idle.length > 0) process.nextTick(() => this._pulseQueue())
    else this._pulseQueue()
    return promised.result
  }

  /** pg-pool calls this whenever something may have become possible. */
  override _pulseQueue(): void {
    if (this.ended || this._pendingQueue.length === 0) return super._pulseQueue()
    this.#lendIdle()
    while (this.#mayDial()) this.#dialler.dial()
    this.#setAlarm()
  }

  #lendIdle(): void {
    if (this._idle.length === 0) return
    const now = read(this.#settings.clock)
    this.#lookForFreeze(now)
    while (this._pendingQueue.length > 0 && this._idle.length > 0) {
      const index = this.#findTrusted(now)
      if (index === -1) break
      const [item] = this._idle.splice(index, 1)
      const waiter = this._pendingQueue.shift()
      if (!item || !waiter) break
      clearTimeout(item.timeoutId)
      item.client.ref?.()
      this._acquireClient(item.client, waiter, item.idleListener, false)
    }
    if (this._pendingQueue.length > 0 && this._idle.length > 0) this.#vet()
  }

  /** The newest idle connection that may be lent unasked. Whatever the gate condemns on the way is destroyed. */
  #findTrusted(now: Reading): number {
    for (let index = this._idle.length - 1; index >= 0; index--) {
      const client = this._idle[index]?.client
      const verdict = client && this.#judge(client, now)
      if (verdict === 'trust') return index
      if (client && verdict && verdict !== 'ask') this.#destroyStale(client, verdict, now)
    }
    return -1
  }

  #judge(client: PeerClient, now: Reading): ReturnType<typeof judge> {
    return judge(standing(client, this.#vitalsOf(client), now), {
      generation: this.#generation,
      doubtedAt: this.#doubtedAt,
      trustMillis: this.#settings.trustMillis,
      idleTimeoutMillis: (this._isAboveMin() && this.options.idleTimeoutMillis) || Number.POSITIVE_INFINITY,
      fatalSilenceMillis: fatalSilenceMillis(this.#shortestDeath),
    })
  }

  /** Only disagreeing clocks are certain here; a gap that moved both shows as silence anyway. */
  #lookForFreeze(now: Reading): void {
    if (this.#lastLook && weighFreeze(this.#lastLook, now) === 'certain') {
      this.#doubtedAt = now.mono
      this.#counts.thawed++
      if (this.#events.active) this.#events.emit({ type: 'thawed', gapMillis: elapsedMillis(this.#lastLook, now) })
    }
    this.#lastLook = now
  }

  /** Sweeps once for all idle connections and all who wait, then probes, side by side, what still stands and is not trusted. */
  #vet(): void {
    if (this.#sweeping || this._idle.every(({ client }) => this.#vitalsOf(client).askedAt !== undefined)) return
    this.#sweeping = true
    const idle = this._idle.length
    sweep(this.#settings.clock, () => {
      this.#sweeping = false
      const now = read(this.#settings.clock)
      for (const { client } of [...this._idle]) {
        const verdict = this.#judge(client, now)
        if (verdict === 'ask') this.#ask(client, now)
        else if (verdict !== 'trust') this.#destroyStale(client, verdict, now)
      }
      this.#counts.swept++
      if (this.#events.active) this.#events.emit({ type: 'swept', idle, dead: Math.max(0, idle - this._idle.length) })
      this._pulseQueue()
    })
  }

  #ask(client: PeerClient, now: Reading): void {
    const vitals = this.#vitalsOf(client)
    if (vitals.askedAt !== undefined) return
    vitals.askedAt = now.mono
    const silenceMillis = elapsedMillis(vitals.provenAt, now)
    probe(client, this.#settings.clock, this.#settings.probeTimeoutMillis, (alive) => {
      vitals.askedAt = undefined
      this.#counts.probed++
      const then = read(this.#settings.clock)
      if (this.#events.active) this.#events.emit({ type: 'probed', alive, tookMillis: elapsedMillis(now, then), silenceMillis })
      if (alive) this.#proven(client, vitals, silenceMillis)
      else if (this._clients.includes(client)) {
        // Siblings that have answered since the question was put are above suspicion.
        this.#doubtedAt = Math.max(this.#doubtedAt, now.mono)
        this.#destroyStale(client, 'unanswered', then)
      }
      this._pulseQueue()
    })
  }

  #proven(client: PeerClient, vitals: Vitals, silenceMillis: number): void {
    vitals.probed = true
    this.#shortestDeath = learnSurvival(this.#shortestDeath, silenceMillis)
    const index = this._idle.findIndex((item) => item.client === client)
    if (index !== -1) this._idle.push(...this._idle.splice(index, 1))
  }

  override _acquireClient(client: PeerClient, item: PendingItem, idleListener: IdleListener, isNew: boolean): void {
    const vitals = this.#vitalsOf(client)
    // While we dialled, everybody was served by connections that came back. This one goes straight to the idle ones.
    const isForNobody = isNew && this._pendingQueue.length === 0
    if (!isForNobody) {
      this.#counts.acquired++
      if (this.#events.active) this.#events.emit({ type: 'acquired', how: isNew ? 'new' : vitals.probed ? 'probed' : 'trusted' })
    }
    vitals.lent = true
    vitals.probed = false
    this.#isUnlent = isForNobody
    try {
      super._acquireClient(client, item, idleListener, isNew)
    } finally {
      this.#isUnlent = false
    }
  }

  // --------------------------------------------------------------------- dial

  #mayDial(): boolean {
    // Every connection that is still idle is being asked, and will serve somebody or make room.
    const missing = this._pendingQueue.length - this.#dialler.outstanding - this._idle.length
    return missing > 0 && this._clients.length < this.options.max && this.#dialler.mayDial
  }

  #open(done: ConnectCallback): PeerClient | undefined {
    const index = this._clients.length
    try {
      super.newClient({ callback: done })
    } catch (error) {
      this._clients.splice(index, 1)
      throw error
    }
    const client = this._clients[index]
    if (client) this.#vitalsOf(client)
    return client
  }

  #opened(client: PeerClient, release: Release, dial: Dial): void {
    this.#lastFailure = undefined
    this.#counts.connected++
    if (this.#events.active) this.#events.emit({ type: 'connected', tookMillis: dial.tookMillis, attempts: dial.attempts })
    const waiter = this._pendingQueue.shift()
    if (waiter) waiter.callback(undefined, client, release)
    else release()
    this._pulseQueue()
  }

  #dialFailed(error: Error, dial: Dial, final: boolean): void {
    this.#lastFailure = { error, dial }
    if (classify(error)?.siblings === 'suspect') this.#doubtedAt = this.#settings.clock.mono()
    if (final) this.#reject(this._pendingQueue.shift(), error)
    else this.#giveUp(this.#settings.clock.mono())
  }

  /** How long a caller may wait for a connection: shorter while the address has never answered. */
  #patienceMillis(): number {
    const timeout = Number(this.options.connectionTimeoutMillis) || Number.POSITIVE_INFINITY
    const failed = this.#lastFailure
    return failed && !wasReached(failed.dial.target) ? Math.min(timeout, UNREACHED_PATIENCE_MILLIS) : timeout
  }

  #remainingMillis(): number | undefined {
    const first = this._pendingQueue[0]
    return first && first.since + this.#patienceMillis() - this.#settings.clock.mono()
  }

  /** Rejects everybody whose time is up. They queue in the order of their coming. */
  #giveUp(now: number): void {
    // The time for which the process was frozen is nobody's fault, and was nobody's chance.
    const late = now - this.#alarmAt
    if (late > LATE_MILLIS) {
      for (const waiter of this._pendingQueue) waiter.since += late
      this.#alarmAt = now
    }
    const patience = this.#patienceMillis()
    for (let first = this._pendingQueue[0]; first && now - first.since >= patience; first = this._pendingQueue[0]) {
      this._pendingQueue.shift()
      this.#reject(first, this.#timeUp(now - first.since))
    }
  }

  #timeUp(waitedMillis: number): Error {
    const failed = this.#lastFailure
    const isDialling = failed !== undefined || this.#dialler.outstanding > 0
    if (failed?.dial.target && waitedMillis < (Number(this.options.connectionTimeoutMillis) || Number.POSITIVE_INFINITY)) {
      return connectError(failed.error, failed.dial.target, failed.dial.attempts, waitedMillis)
    }
    const stage = this._idle.length > 0 ? 'probe' : isDialling ? 'connect' : 'wait'
    return acquireTimeout(stage, waitedMillis, this.options.max, failed?.dial.target, failed?.error)
  }

  #reject(waiter: Waiter | undefined, error: Error): void {
    waiter?.callback(error, undefined, () => {})
  }

  /** One timer for all who wait. It costs the hot path nothing: nobody waits there. */
  #setAlarm(): void {
    const remaining = this.#remainingMillis()
    if (this.#alarm || remaining === undefined || remaining === Number.POSITIVE_INFINITY) return
    this.#alarmAt = this.#settings.clock.mono() + Math.max(0, remaining)
    this.#alarm = startDeadline(this.#settings.clock, Math.max(0, remaining), () => {
      this.#alarm = undefined
      this.#giveUp(this.#settings.clock.mono())
      this.#alarmAt = Number.POSITIVE_INFINITY
      this.#setAlarm()
    }, true)
  }

  // ------------------------------------------------------------------ release

  override _release(client: PeerClient, idleListener: IdleListener, error?: Error | boolean): void {
    const vitals = this.#vitalsOf(client)
    if (!error && client.readyForQuery === false && !isBroken(client)) {
      return this.#whenFinished(client, (finished) => this._release(client, idleListener, finished ? undefined : true))
    }
    vitals.lent = false
    vitals.idleSince = read(this.#settings.clock)
    const inTransaction = vitals.status === 'T' || vitals.status === 'E'
    super._release(client, idleListener, error || inTransaction || undefined)
  }

  /** Waits, not for ever, until the statement that was running at the release has ended: its result is nobody's, its effect is. */
  #whenFinished(client: PeerClient, done: (finished: boolean) => void): void {
    const settle = (finished: boolean) => {
      deadline.cancel()
      client.off('drain', drained)
      client.off('end', ended)
      done(finished)
    }
    const drained = () => settle(true)
    const ended = () => settle(false)
    client.on('drain', drained)
    client.on('end', ended)
    const deadline = startDeadline(this.#settings.clock, this.#settings.releaseTimeoutMillis, ended)
  }

  /** Idempotent, unlike pg-pool's: a connection can be given up by the door, by its socket and by its holder. */
  override _remove(client: PeerClient, callback?: () => void): void {
    if (!this._clients.includes(client)) return callback?.()
    super._remove(client, callback)
    // pg waits until the server closes its end. A server that is gone never does.
    const deadline = startDeadline(this.#settings.clock, CLOSE_MILLIS, () => client.connection?.stream.destroy(), true)
    client.once('end', () => deadline.cancel())
  }

  #destroyStale(client: PeerClient, reason: StaleReason, now: Reading): void {
    const silenceMillis = elapsedMillis(this.#vitalsOf(client).provenAt, now)
    this.#tellStale(reason, silenceMillis)
    if (reason === 'broken' || reason === 'unanswered') this.#shortestDeath = learnDeath(this.#shortestDeath, silenceMillis)
    // Dead or condemned: nobody is there to read a Terminate.
    if (reason !== 'idle' && reason !== 'lifetime') client.connection?.stream.destroy()
    this._remove(client)
  }

  // -------------------------------------------------------------------- watch

  #vitalsOf(client: PeerClient): Vitals {
    const known = this.#vitals.get(client)
    if (known) return known
    const { clock } = this.#settings
    const share = LEAST_LIFETIME_SHARE + (1 - LEAST_LIFETIME_SHARE) * clock.random()
    const maxAgeMillis = Number(this.options.maxLifetimeSeconds) * 1000 * share || Number.POSITIVE_INFINITY
    const vitals = watch(client, clock, this.#generation, maxAgeMillis, {
      lost: (lost, error) => this.#lost(lost, error),
      closed: (closed) => this.#closed(closed),
    })
    this.#vitals.set(client, vitals)
    return vitals
  }

  /** A connection that stood is lost, and we did not close it: its siblings have to prove themselves. */
  #lost(client: PeerClient, error: Error): void {
    if (client._ending) return
    const vitals = this.#vitalsOf(client)
    const now = read(this.#settings.clock)
    const says = classify(error)
    if (says?.siblings === 'condemned') this.#generation++
    else if (says?.siblings !== 'unharmed') this.#doubtedAt = Math.max(this.#doubtedAt, vitals.askedAt ?? now.mono)
    if (vitals.lent) return
    const silenceMillis = elapsedMillis(vitals.provenAt, now)
    if (blamesSilence(error)) this.#shortestDeath = learnDeath(this.#shortestDeath, silenceMillis)
    this.#tellStale('broken', silenceMillis, error)
  }

  /** The socket of a lent client has closed: its place in the pool is free, whether or not its holder ever gives it back. */
  #closed(client: PeerClient): void {
    // Its holder, who hears of it now, gets the chance to give it back in the ordinary way.
    sweep(this.#settings.clock, () => {
      if (this.#vitalsOf(client).lent) this._remove(client, () => this._pulseQueue())
    })
  }

  override emit(name: string | symbol, ...values: unknown[]): boolean {
    // pg-pool tells of idle connections that die. Without a listener that would end the process.
    if (name === 'error' && this.listenerCount('error') === 0) return false
    // Nobody acquired it, nobody gave it back.
    if (this.#isUnlent && (name === 'acquire' || name === 'release')) return false
    return super.emit(name, ...values)
  }

  // -------------------------------------------------------------------- query

  query(text: unknown, values?: unknown, callback?: Callback<pg.QueryResult>): Promise<pg.QueryResult> | undefined {
    if (typeof text === 'function') {
      const promised = promisify(this.Promise, text as Callback<pg.QueryResult>)
      setImmediate(() => promised.callback(new Error('Passing a function as the first parameter to pool.query is not supported')))
      return promised.result
    }
    const isTwoArguments = typeof values === 'function'
    const promised = promisify(this.Promise, isTwoArguments ? (values as Callback<pg.QueryResult>) : callback)
    this.#send(text, isTwoArguments ? undefined : values, promised.callback, MOST_REPEATS)
    return promised.result
  }

  #send(text: unknown, values: unknown, done: Callback<pg.QueryResult>, repeats: number): void {
    this.connect((failure, client, release) => {
      if (failure || !client) return done(failure)
      const { connection } = client
      const handedOver = connection?.stream.bytesWritten
      let settled = false
      const settle = (error: Error | null | undefined, result?: pg.QueryResult) => {
        // pg calls back twice after a value that it cannot bind.
        if (settled) return
        settled = true
        if (!error) return this.#finish(client, release, done, result)
        const isUnsent = isBroken(client) && handedOver !== undefined && connection.stream.bytesWritten === handedOver
        release(this.#mayKeep(client, error) ? undefined : error)
        if (!isUnsent || repeats === 0 || !this.#spend() || isSubmittable(text)) return done(error)
        this.#tellRetried('statement', 0, error)
        this.#send(text, values, done, repeats - 1)
      }
      try {
        client.query(text as string, values as unknown[], settle as (error: Error, result: pg.QueryResult) => void)
      } catch (error) {
        settle(error as Error)
      }
    })
  }

  #finish(client: PeerClient, release: Release, done: Callback<pg.QueryResult>, result: pg.QueryResult | undefined): void {
    this.#budget = earn(this.#budget)
    const { status } = this.#vitalsOf(client)
    release()
    if (status !== 'T' && status !== 'E') return done(undefined, result)
    done(
      new TransactionOpenError(
        'A statement sent by pool.query() left a transaction open. It was rolled back, because the next pool.query() may take another connection. ' +
          'Take one for the whole transaction: const client = await pool.connect().',
      ),
    )
  }

  #mayKeep(client: PeerClient, error: Error): boolean {
    return this.#settings.keepOnSqlError && error instanceof pg.DatabaseError && !classify(error)?.ends && !isBroken(client)
  }

  #spend(): boolean {
    const left = spend(this.#budget)
    if (left !== undefined) this.#budget = left
    return left !== undefined
  }

  // ---------------------------------------------------------------------- end

  end(first?: EndOptions | Callback<void>, second?: Callback<void>): Promise<void> | undefined {
    const callback = typeof first === 'function' ? first : second
    const { timeoutMillis } = typeof first === 'object' ? checkEndOptions(first) : {}
    if (this.ending) return this.#refuse(callback, 'Called end on pool more than once')
    const promised = promisify<void>(this.Promise, callback)
    this.ending = true
    let destroyed = 0
    const deadline =
      timeoutMillis === undefined
        ? undefined
        : startDeadline(this.#settings.clock, timeoutMillis, () => {
            destroyed = this.#destroyAll()
          })
    this._endCallback = () => {
      deadline?.cancel()
      this.#alarm?.cancel()
      this.#dialler.stop()
      this.#counts.drained++
      if (this.#events.active) this.#events.emit({ type: 'drained', destroyed })
      promised.callback(undefined)
    }
    this._pulseQueue()
    return promised.result
  }

  #destroyAll(): number {
    const clients = [...this._clients]
    for (const waiter of this._pendingQueue.splice(0)) this.#reject(waiter, new Error(ENDED))
    for (const client of clients) {
      client.connection?.stream.destroy()
      this._remove(client)
    }
    this._pulseQueue()
    return clients.length
  }

  #refuse<T>(callback: Callback<T> | undefined, message: string = ENDED): Promise<T> | undefined {
    if (!callback) return this.Promise.reject(new Error(message))
    callback(new Error(message))
    return undefined
  }

  // ------------------------------------------------------------------- report

  subscribe(listener: ThawListener): () => void {
    return this.#events.subscribe(listener)
  }

  stats(): PoolStats {
    return {
      ...this.#counts,
      total: this.totalCount,
      idle: this.idleCount,
      waiting: this.waitingCount,
      generation: this.#generation,
    }
  }

  /** As pg-pool counts: a caller for whom we are dialling is not waiting. */
  override get waitingCount(): number {
    return Math.max(0, this._pendingQueue.length - this.#dialler.outstanding)
  }

  #tellStale(reason: StaleReason, silenceMillis: number, error?: Error): void {
    this.#counts.stale++
    if (this.#events.active) this.#events.emit({ type: 'stale', reason, silenceMillis, ...withCode(error) })
  }

  #tellRetried(what: 'dial' | 'statement', delayMillis: number, error: Error): void {
    this.#counts.retried++
    if (this.#events.active) this.#events.emit({ type: 'retried', what, delayMillis, ...withCode(error) })
  }
}

/** node-postgres' own words. */
const ENDED = 'Cannot use a pool after calling end on the pool'

function withCode(error: Error | undefined): { code?: string } {
  const code = codeOf(error)
  return code === undefined ? {} : { code }
}

/** A cursor, a stream, a Query made by the caller: it has state, and cannot be sent twice. */
function isSubmittable(text: unknown): boolean {
  return typeof (text as { submit?: unknown } | null)?.submit === 'function'
}

/** libpq keeps its socket to itself: nothing can be watched, swept or probed there. */
function refuseNative(Client: { name: string; prototype?: object }): void {
  if (process.env['NODE_PG_FORCE_NATIVE'] === undefined && !(Client.prototype && 'isConnected' in Client.prototype)) return
  throw new OptionError({
    option: 'Client',
    allowed: 'pg.Client or a class that extends it',
    message: '@thaw/pg does not work with pg-native. Remove NODE_PG_FORCE_NATIVE, and use the Client of "pg" instead of "pg".native.',
  })
}

/**
 * `pg.Pool` that survives freezes, dead sockets and restarts. The same class to everyone who looks (`instanceof`, events,
 * callbacks, `options`); see {@link PoolConfig} for what differs.
 */
export interface Pool extends pg.Pool {
  /** As `pg.Pool`: no new callers; resolves when every client has been given back and closed. */
  end(): Promise<void>
  end(callback: () => void): void
  /**
   * The same, but never longer than `timeoutMillis`: then the connections still in use are destroyed, and who still waits
   * for one is refused.
   *
   * @throws {OptionError} when the option is absurd.
   */
  end(options: EndOptions): Promise<void>
  end(options: EndOptions, callback: () => void): void
  /** Tells `listener` about everything that happens from now on. Returns the function that stops it. */
  subscribe(listener: ThawListener): () => void
  /** What has happened so far, counted. */
  stats(): PoolStats
}

/** The constructor of {@link Pool}, in every form that node-postgres has. */
export interface PoolConstructor {
  /** @throws {OptionError} naming an option that is absurd or misspelt, before anything is opened. */
  new (config?: PoolConfig, Client?: unknown): Pool
  readonly prototype: Pool
}

/** See {@link PoolConstructor}. */
export const Pool: PoolConstructor = ThawPool as unknown as PoolConstructor
