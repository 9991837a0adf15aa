/**
 * The pool, as overrides of pg-pool's methods. The story in order: `connect` puts a caller into pg-pool's queue; `_pulseQueue` hands out
 * the idle connections that pass the health check, has the others probed, and opens connections for the callers that are left.
 */

import { type Events, POOL_USES, type PoolUses, type Reading, type ThawListener } from '@thaw/core'
import type { PoolConfig, QueryResult } from 'pg'
import { Checkout } from './checkout/checkout.ts'
import { emitAcquired, emitRetried } from './checkout/emit.ts'
import { finishEnding, startEnding } from './checkout/ending.ts'
import { HealthChecks } from './checkout/health-checks.ts'
import { Hedging } from './checkout/hedging.ts'
import { IdleTimer } from './checkout/idle-timer.ts'
import { InvocationTracker } from './checkout/invocation-tracker.ts'
import { noteOwnWork } from './checkout/own-work.ts'
import { Returning } from './checkout/returning.ts'
import { createSharing, type Sharing } from './checkout/sharing.ts'
import { acquires, traceAtOnce } from './checkout/traced-acquire.ts'
import { WaitLimit } from './checkout/wait-limit.ts'
import { createWaiter, WaitQueue } from './checkout/wait-queue.ts'
import { WrappedPool, wrappersOf } from './checkout/wrapped-pool.ts'
import { type Dial, Dialer, type DialHost } from './connect/dialer.ts'
import { type Hand, openClient } from './connect/new-client.ts'
import { isWriting } from './connection/one-write.ts'
import { createPoolContext, forgetServer, type PoolContext } from './connection/pool-context.ts'
import { watchQuery } from './connection/unseen.ts'
import { runIn } from './driver/async-context.ts'
import type { Driver } from './driver/driver.ts'
import { behindProxies, noteItself } from './driver/itself.ts'
import { callsUserCode, guardLog, tellListeners } from './driver/listeners.ts'
import { nextTick } from './driver/next-tick.ts'
import type { ConnectCallback, PeerClient, PeerPool, Release } from './driver/peer.ts'
import { type Callback, promisify, refuse } from './driver/promisify.ts'
import { callBack, type Waiter } from './driver/waiter.ts'
import { joinFleet } from './fleet/join-fleet.ts'
import { InFlightWatch } from './inquiry/in-flight-watch.ts'
import { Inquirer } from './inquiry/inquirer.ts'
import { hostPlanOf } from './options/hosts.ts'
import type { ConnectOptions, EndOptions, Settings, ThawOptions } from './options/options.ts'
import { checkEndOptions, preparePoolOptions, settingsOf } from './options/options.ts'
import { OWN, type Wish } from './statement/call.ts'
import { PoolQueries } from './statement/pool-query.ts'
import type { PoolStats } from './stats.ts'

/** node-postgres' own message. */
const ENDED = 'Cannot use a pool after calling end on the pool'

/** The driver's class, extended. */
export interface ThawPool extends PeerPool<Waiter> {
  connect(first?: ConnectCallback | ConnectOptions, second?: ConnectCallback): Promise<PeerClient> | undefined
  query(text: unknown, values?: unknown, callback?: Callback<QueryResult>): Promise<QueryResult> | undefined
  end(first?: EndOptions | Callback<void>, second?: Callback<void>): Promise<void> | undefined
  stats(): PoolStats
}

/** Extends the driver's class. Each call makes another class. */
export function poolOver(driver: Driver): new (config?: object, Client?: unknown, context?: PoolContext) => ThawPool {
  const wrappers = wrappersOf(driver.Pool)
  const queryWatch = watchQuery(driver)

  class ThawPool extends driver.Pool {
    // A literal: minifiers rename classes, and ORMs look for "Pool". Not a field: webpack's minifier assigns it, which throws.
    static override get name(): string {
      return 'Pool'
    }

    readonly #settings: Settings
    readonly #events: Events
    readonly #hedging: Hedging
    readonly #checks: HealthChecks
    readonly #checkout: Checkout
    readonly #returning: Returning
    readonly #dialer: Dialer
    readonly #waiting: WaitQueue
    readonly #queries: PoolQueries
    readonly #inquirer: Inquirer
    readonly #watch: InFlightWatch
    readonly #invocations: InvocationTracker
    readonly #waitLimit: WaitLimit
    readonly #idleTimer: IdleTimer
    readonly #sharing: Sharing | undefined
    readonly #wrapped = new WrappedPool(this, {
      acquire: (callback, options) => this.#acquire(callback, options),
      query: (text, values, callback) => this.#queries.query(this.Promise, text, values, callback),
      end: (options, callback) => void this.#end(options, callback),
    })
    /** The next `connect()` is for a statement that may carry a probe. */
    #mayPiggyback: (() => boolean) | undefined

    constructor(config?: PoolConfig & ThawOptions, Client?: unknown, { memory, join }: PoolContext = createPoolContext()) {
      super(preparePoolOptions(config, Client, driver.choosesHost))
      noteItself(this)
      memory.pool ??= this
      this.log = guardLog(this.log, this.options)
      const settings = settingsOf(config ?? {})
      this.#settings = settings
      this.#events = memory.events
      const idleTimeoutMillis = () => this.#idleTimeoutMillis()
      this.#inquirer = new Inquirer({ driver, settings, memory, pool: this })
      this.#hedging = new Hedging(settings, this, () => this.#inquirer.count)
      this.#checks = new HealthChecks({
        pool: this,
        settings,
        memory,
        membership: joinFleet(this, driver, config ?? {}, settings, memory),
        hedging: this.#hedging,
        maxLifetimeMillis: Number(this.options.maxLifetimeSeconds) * 1000 || Number.POSITIVE_INFINITY,
        idleTimeoutMillis,
        drain: (client) => this.#returning.drain(client),
        died: (client, error) => this.#returning.died(client, error),
        requestCancel: (client) => this.#inquirer.cancel(client),
        handOutForPiggyback: (client, place) => this.#checkout.handOutForPiggyback(client, place),
        isTooMany: (vitals) => this.#returning.isTooMany(vitals),
        abandoned: (client) => this.#returning.takeBack(client),
        noteStandstill: (now) => this.#watch.noteStandstill(now),
      })
      const idleSince = (client: PeerClient) => this.#checks.vitalsOf(client).idleSince
      this.#idleTimer = new IdleTimer({ pool: this, clock: settings.clock, idleTimeoutMillis, idleSince })
      this.#waitLimit = new WaitLimit(this, settings, memory.events, (client) => this.#checks.vitalsOf(client).isPoolQuery)
      this.#waiting = new WaitQueue({
        clock: settings.clock,
        queue: () => this._pendingQueue,
        waitLimitMillis: () => this.#waitLimit.millis,
        timeUp: (waitedMillis, isOver) => this.#timeUp(waitedMillis, isOver),
        left: () => this.ending && nextTick(() => this._pulseQueue()),
      })
      this.#invocations = new InvocationTracker(this, { checks: this.#checks, join })
      this.#dialer = new Dialer({
        clock: settings.clock,
        asksPassword: typeof this.options.password === 'function',
        hosts: hostPlanOf(this.options),
        moved: () => forgetServer(memory),
        open: (...how) => this.#open(...how),
        opened: (client, release, dial) => this.#opened(client, release, dial),
        failed: (error, dial, final) => this.#dialFailed(error, dial, final),
        watchPreparing: (client) => this.#watch.watchPreparing(client),
        reasonToDial: (hopeful, overdue) => this.#hedging.reasonToDial(hopeful, overdue),
        room: () => this.#hedging.room,
        waitMillis: () => this.#waiting.firstWaitMillis(),
        awaitsTurn: () => this.#checks.membership?.awaitsTurn === true,
        restMillis: () => this.#checks.membership?.turns.restMillis ?? 0,
        stepped: (millis) => this.#hedging.learn(millis),
        retrying: (error, delayMillis) => emitRetried(this.#events, 'connect', delayMillis, error),
        resume: () => this._pulseQueue(),
      })
      this.#sharing = createSharing({
        pool: this,
        settings,
        memory,
        checks: this.#checks,
        hedging: this.#hedging,
        dialer: this.#dialer,
        isSeen: (client) => this.connect !== CONNECT || wrappers.connect() !== undefined || !queryWatch.isPlain(client),
      })
      this.#queries = new PoolQueries({
        driver,
        settings,
        memory,
        checks: this.#checks,
        isEnding: () => this.ending,
        queryWatch,
        isObserved: () => this.#events.hears('outcome') || acquires.isHeard || wrappers.connect() !== undefined || callsUserCode(this),
        hedging: this.#hedging,
        sharing: this.#sharing,
        waiting: this.#waiting,
        connect: (...wish) => this.#connectOwn(...wish),
        takeNow: (callback, join) => this.#takeNow(callback, join),
        repeating: (error, loss) => {
          this.#checks.tellOutcome(loss, 'retried')
          emitRetried(this.#events, 'statement', 0, error)
        },
      })
      noteOwnWork(this, (callback) => this.#connectOwn(callback, OWN), this.#inquirer, this.#queries.standby)
      this.#watch = new InFlightWatch({ settings, memory, pool: this, inquirer: this.#inquirer, checks: this.#checks })
      const isOverfull = () => this.#isOverfull
      const host = { pool: this, checks: this.#checks, events: this.#events, watch: this.#watch, isOverfull }
      this.#checkout = new Checkout({
        ...host,
        idleTimer: this.#idleTimer,
        serve: (now) => this.#serve(now),
        release: (client, error) => this.#returning.release(client, error),
        keep: (client, error) => this.#returning.keep(client, error),
      })
      this.#returning = new Returning({
        ...host,
        settings,
        refused: (client) => this.#queries.standby.released(client),
        returned: (client) => this.#invocations.returned(client),
        isBack: (at) => {
          // In the next tick: a second `release()` in this one throws, and does not reach the next caller.
          if (this._pendingQueue.length > 0) nextTick(() => this.#serve(at))
          this.#idleTimer.start()
        },
      })
    }

    // ------------------------------------------------------------------ acquire

    connect(first?: ConnectCallback | ConnectOptions, second?: ConnectCallback): Promise<PeerClient> | undefined {
      const callback = (typeof first === 'function' ? first : second) as Callback<PeerClient> | undefined
      const options = typeof first === 'object' ? first : undefined
      const wrapper = wrappers.connect()
      if (wrapper && this.#events.hears('thawed')) this.#checks.look() // While the caller's own span is the current one.
      // After the end as well: pg-pool, beneath the wrapper, refuses in the same words.
      if (wrapper) return this.#wrapped.connect(wrapper, callback as ConnectCallback | undefined, options)
      if (this.ending) return refuse(this.Promise, callback, ENDED)
      const promised = promisify<PeerClient>(this.Promise, callback)
      this.#acquire(promised.callback as ConnectCallback, options)
      return promised.result
    }

    #acquire(callback: ConnectCallback, options: ConnectOptions | undefined, told: ThawPool | undefined = this): void {
      const waiter = createWaiter(this.#settings.clock, this.#invocations.note(callback), { mayPiggyback: this.#mayPiggyback, told })
      this.#mayPiggyback = undefined
      if (this.#waiting.mayWait(waiter, options)) this.#wait(waiter)
    }

    query(text: unknown, values?: unknown, callback?: Callback<QueryResult>): Promise<QueryResult> | undefined {
      const wrapper = wrappers.query()
      if (wrapper) return this.#wrapped.query(wrapper, text, values, callback)
      return this.#queries.query(this.Promise, text, values, callback)
    }

    /** pg-pool calls this whenever a waiting caller might be served. */
    override _pulseQueue(): void {
      if (this.ended) return
      if (this.ending && this._pendingQueue.length === 0) return finishEnding(this, () => this.#dialer.abandon())
      this.#serve()
    }

    #serve(releasedAt?: Reading): void {
      if (this._pendingQueue.length === 0) return
      this.#checkout.serveIdle(releasedAt)
      this.#sharing?.serve()
      if (this._pendingQueue.length > 0) this.#dial()
      this.#waiting.setAlarm()
      this.#waitLimit.growth.watch()
    }

    /** For a statement of the pool's own, which releases the client by itself. Returns how to withdraw the request. */
    #connectOwn(callback: ConnectCallback, { signal, mayPiggyback, share, place, isAtDoor, isUnseen }: Wish): () => void {
      const isOpen = !this.ending || (isAtDoor && !this.ended)
      if (this.connect === CONNECT && isOpen && signal === undefined && (isUnseen || !wrappers.connect())) {
        const told = isUnseen ? undefined : this
        const waiter = createWaiter(this.#settings.clock, callback, { mayPiggyback, share, place, isOwn: true, told })
        return this.#waiting.mayWait(waiter, undefined) ? this.#wait(waiter) : () => {}
      }
      // With one argument, where one is enough: tracing tools wrap this, and pass on no other.
      this.#invocations.expectOwn()
      this.#mayPiggyback = mayPiggyback
      if (isUnseen && this.connect === CONNECT && !this.ending) this.#acquire(callback, { signal: signal as AbortSignal }, undefined)
      else if (signal) this.connect({ signal: signal as AbortSignal }, callback)
      else this.connect(callback)
      // A wrapper that calls later may do so for another caller.
      this.#mayPiggyback = undefined
      return () => {}
    }

    /** Returns the function that stops waiting. */
    #wait(waiter: Waiter): () => void {
      this.#invocations.join()
      this.#waiting.join(waiter)
      // pg-pool's own timing: an idle client is handed out in the next tick, a new one is opened at once.
      if (this._idle.length > 0) nextTick(() => this._pulseQueue())
      else this._pulseQueue()
      return () => this.#waiting.leave(waiter)
    }

    /** Not if another caller waits already, if `connect` is wrapped, or in the middle of another statement. */
    #takeNow(callback: ConnectCallback, join?: () => boolean): boolean {
      if (this._pendingQueue.length > 0 || this.ending || this.connect !== CONNECT || wrappers.connect() || isWriting()) return false
      this.#invocations.join()
      return this.#checkout.takeNow(acquires.isHeard ? traceAtOnce(this, callback) : callback, join)
    }

    // --------------------------------------------------------------------- dial

    #dial(): void {
      // Every place is taken, and nothing is suspect: always so when there are more callers than connections.
      if (this._clients.length >= this.options.max && this.#dialer.outstanding === 0 && !this.#hedging.isLate) return
      for (let why = this.#dialer.reason; why; why = this.#dialer.reason) {
        const isHedge = why === 'hedge'
        // The connection attempt belongs to the caller for whom it is made, not to the one that has just released a connection.
        const waiter = this._pendingQueue[this.#dialer.outstanding] ?? this._pendingQueue.at(-1)
        runIn(waiter?.context, () => this.#dialer.dial(isHedge))
      }
    }

    /** A connection attempt under way may still fail, or be the one to end. */
    get #isOverfull(): boolean {
      return this.#hedging.room < 0 && this.#dialer.outstanding === 0
    }

    #open(...how: Parameters<DialHost['open']>): PeerClient {
      const hand: Hand = (opened, item, isNew) => (isNew ? this.#checkout.handNew(opened, item) : this.#checkout.hand(opened, item))
      const client = openClient(this, this.#settings.clock, hand, ...how)
      this.#checks.vitalsOf(client)
      return client
    }

    #opened(client: PeerClient, release: Release, dial: Dial): void {
      this.#waitLimit.succeeded()
      this.#sharing?.dialled(dial.tookMillis)
      // The other has replied meanwhile, and there is no room for both.
      const waiter = this.#isOverfull ? undefined : this._pendingQueue.shift()
      this.#events.emit({ type: 'connected', tookMillis: dial.tookMillis, attempts: dial.attempts, ...(dial.isHedge && { hedge: true }) })
      if (waiter) emitAcquired(this.#events, 'new', this.#checks.vitalsOf(client), this.#settings.clock, waiter.since)
      if (waiter) callBack(waiter, undefined, client, release)
      else release()
      this._pulseQueue()
    }

    #dialFailed(error: Error, dial: Dial, final: boolean): void {
      this.#waitLimit.failed(error, dial)
      if (dial.isHedge) this.#hedging.lost()
      this.#checks.dialFailed(error)
      if (final) this.#waiting.reject(this._pendingQueue.shift(), error)
      else this.#waiting.giveUp()
    }

    #timeUp(waitedMillis: number, isOver: boolean): Error {
      const error = this.#waitLimit.timeUp(waitedMillis, isOver, {
        probes: this._idle.length,
        dials: this.#dialer.outstanding,
        underWay: this.#dialer.underWay,
      })
      // A connection attempt that has outlasted a whole invocation would block the next one.
      if (isOver && this._pendingQueue.length === 0) this.#dialer.abandon()
      return error
    }

    // ------------------------------------------------------------------ release

    #idleTimeoutMillis(): number {
      return (this._clients.length > Number(this.options.min ?? 0) && Number(this.options.idleTimeoutMillis)) || Number.POSITIVE_INFINITY
    }

    override [POOL_USES]: PoolUses | undefined

    override _remove(client: PeerClient, callback?: () => void): void {
      this.#returning.remove(client, callback)
    }

    override emit(name: string | symbol, ...values: unknown[]): boolean {
      // No listener, as on most pools.
      if ((name === 'acquire' || name === 'release') && this.listenerCount(name) === 0) return false
      return tellListeners(this, name, values[0], () => super.emit(name, ...values))
    }

    // ---------------------------------------------------------------------- end

    end(first?: EndOptions | Callback<void>, second?: Callback<void>): Promise<void> | undefined {
      const callback = typeof first === 'function' ? first : second
      const options = typeof first === 'object' ? checkEndOptions(first) : undefined
      const wrapper = wrappers.end()
      return wrapper ? this.#wrapped.end(wrapper, options, callback) : this.#end(options, callback)
    }

    #end({ timeoutMillis }: EndOptions = {}, callback: Callback<void> | undefined): Promise<void> | undefined {
      if (this.ending) return refuse(this.Promise, callback, 'Called end on pool more than once')
      const promised = promisify<void>(this.Promise, callback)
      this.ending = true
      this._endCallback = startEnding(this, {
        clock: this.#settings.clock,
        timeoutMillis,
        checks: this.#checks,
        turnAway: () => this.#waiting.clear(new Error(ENDED)),
        ended: (destroyed) => {
          for (const part of [this.#dialer, this.#watch, this.#idleTimer, this.#waitLimit.growth]) part.stop()
          this.#waiting.close()
          this.#invocations.leave()
          this.#events.emit({ type: 'drained', destroyed })
          promised.callback(undefined)
        },
      })
      this._pulseQueue()
      return promised.result
    }

    // ------------------------------------------------------------------- report

    subscribe(listener: ThawListener): () => void {
      return this.#events.subscribe(listener)
    }

    stats(): PoolStats {
      const { totalCount: total, idleCount: idle, waitingCount: waiting } = this
      return { ...this.#events.counts, total, idle, waiting, generation: this.#checks.generation, ...this.#checks.membership?.stats }
    }

    /** As pg-pool counts: a caller for whom a connection is being opened is not waiting. */
    override get waitingCount(): number {
      return Math.max(0, this._pendingQueue.length - this.#dialer.outstanding)
    }
  }

  /** To know whether it is still ours. */
  const CONNECT = behindProxies(ThawPool).prototype.connect
  return ThawPool
}
