/**
 * The pool on Cloudflare Workers, where a socket belongs to the request, or the Durable Object, that opened it. One object that lives as
 * long as the isolate, and does nothing until it is used; behind it, one pool of connections per scope.
 */

import { currentScope, type Invocation, named, OptionError, type Scope, type ThawListener, type TrackedPool, trackPool } from '@thaw/core'
import { createMemory } from '../connection/pool-context.ts'
import type { Driver } from '../driver/driver.ts'
import { behindProxies, noteItself } from '../driver/itself.ts'
import { nextTick } from '../driver/next-tick.ts'
import type { PeerPool } from '../driver/peer.ts'
import { type Callback, promisify } from '../driver/promisify.ts'
import type { Waiter } from '../driver/waiter.ts'
import { refuseFleetOnWorkers } from '../fleet/fleet-options.ts'
import { preparePoolOptions } from '../options/options.ts'
import type { PoolStats } from '../stats.ts'
import { type TransactingPool, transactingPoolOver } from '../transaction/pool.ts'
import { currentBindings } from './bindings.ts'
import { knownOptions, optionsFrom, type Source, type SourceFunction } from './source.ts'

/**
 * A request may have six connections that wait at once; one is reserved for asking the server to stop a statement.
 * https://developers.cloudflare.com/workers/platform/limits/#simultaneous-open-connections
 */
const MOST_SOCKETS = 5
/** pg-pool's events, which a scope's pool passes on to the user's pool object. */
const EVENTS = ['connect', 'acquire', 'release', 'remove', 'error'] as const

/** One scope's connections. */
interface Branch {
  readonly pool: TransactingPool
  /** Once it has been used: receives its invocations. */
  member?: TrackedPool
}

type Arguments = readonly unknown[]

/** The user's pool object. Its types come from the driver. */
export interface ScopedPool extends Omit<PeerPool<Waiter>, 'options'> {
  readonly options: { max: number }
}

/** Extends the driver's class, for Workers. Each call makes another class. The bindings are read when a request uses a pool, not before. */
export function scopedPoolOver(driver: Driver): new (source?: Source | SourceFunction<never>, Client?: unknown) => ScopedPool {
  const Housed = transactingPoolOver(driver)

  class ScopedPool extends driver.Pool {
    // A literal: minifiers rename classes, and ORMs look for "Pool" in the name. Not a field: webpack's minifier turns it into an
    // assignment, which throws.
    static override get name(): string {
      return 'Pool'
    }

    readonly #source: Source | SourceFunction<never>
    readonly #Client: unknown
    readonly #memory = createMemory()
    readonly #branches = new WeakMap<Scope, Branch>()
    /** Known to platforms for as long as the pool object is referenced. */
    #member: TrackedPool | undefined

    constructor(source?: Source | SourceFunction<never>, Client?: unknown) {
      const checked = checkSource(source ?? {})
      refuseFleetOnWorkers(knownOptions(checked))
      super(preparePoolOptions(knownOptions(checked), Client))
      this.options.max = Math.min(this.options.max, MOST_SOCKETS)
      noteItself(this)
      this.#memory.pool = this
      this.#source = checked
      this.#Client = Client
    }

    connect(...args: Arguments): unknown {
      return this.#inScope(args, (pool) => Reflect.apply(pool.connect, pool, args))
    }

    query(...args: Arguments): unknown {
      return this.#inScope(args, (pool) => Reflect.apply(pool.query, pool, args))
    }

    transaction(...args: Arguments): unknown {
      return this.#inScope([], (pool) => Reflect.apply(pool.transaction, pool, args))
    }

    batch(...args: Arguments): unknown {
      return this.#inScope([], (pool) => Reflect.apply(pool.batch, pool, args))
    }

    outcome(...args: Arguments): unknown {
      return this.#inScope([], (pool) => Reflect.apply(pool.outcome, pool, args))
    }

    createIdempotencyTable(): unknown {
      return this.#inScope([], (pool) => pool.createIdempotencyTable())
    }

    /** The connections of this scope alone. Using the pool afterwards, here or elsewhere, opens new ones. */
    end(...args: Arguments): unknown {
      const scope = scopeOrNone()
      const branch = scope && this.#branches.get(scope)
      if (scope && branch) {
        this.#branches.delete(scope)
        return Reflect.apply(branch.pool.end, branch.pool, args)
      }
      return this.#answer(args, undefined)
    }

    subscribe(listener: ThawListener): () => void {
      return this.#memory.events.subscribe(listener)
    }

    stats(): PoolStats {
      const { total, idle, waiting, generation } = this.#here()?.stats() ?? { total: 0, idle: 0, waiting: 0, generation: 0 }
      return { ...this.#memory.events.counts, total, idle, waiting, generation }
    }

    override get totalCount(): number {
      return this.#here()?.totalCount ?? 0
    }

    override get idleCount(): number {
      return this.#here()?.idleCount ?? 0
    }

    override get waitingCount(): number {
      return this.#here()?.waitingCount ?? 0
    }

    override emit(name: string | symbol, ...values: unknown[]): boolean {
      // pg-pool emits an error for each idle connection that dies. Without a listener that would end the request.
      return (name !== 'error' || this.listenerCount('error') > 0) && super.emit(name, ...values)
    }

    /** Runs `work` on the connections of the caller's scope. Failures are reported as pg-pool reports them: never thrown. */
    #inScope(args: Arguments, work: (pool: TransactingPool) => unknown): unknown {
      let pool: TransactingPool
      try {
        const scope = currentScope()
        if (!scope) throw new Error('This is no longer a Worker: its global WebSocketPair is gone.')
        pool = (this.#branches.get(scope) ?? this.#branch(scope)).pool
      } catch (error) {
        return this.#answer(args, error as Error)
      }
      return work(pool)
    }

    #answer(args: Arguments, error: Error | undefined): unknown {
      const callback = args.find((value) => typeof value === 'function') as Callback<void> | undefined
      const promised = promisify<void>(this.Promise, callback)
      nextTick(() => promised.callback(error))
      return promised.result
    }

    #here(): TransactingPool | undefined {
      const scope = scopeOrNone()
      return scope && this.#branches.get(scope)?.pool
    }

    #branch(scope: Scope): Branch {
      const join = (member: TrackedPool) => {
        branch.member = member
        if (!this.#member) {
          this.#member = this.#asMember()
          trackPool(this.#member)
        }
        return () => {}
      }
      const options = optionsFrom(this.#source, currentBindings())
      refuseFleetOnWorkers(options)
      const branch: Branch = {
        pool: new Housed(options, this.#Client, { memory: this.#memory, join }),
      }
      branch.pool.options.max = Math.min(branch.pool.options.max, MOST_SOCKETS)
      for (const name of EVENTS) branch.pool.on(name, (...values: unknown[]) => void this.emit(name, ...values))
      this.#branches.set(scope, branch)
      return branch
    }

    /** Platforms know the user's pool object. What they report to it concerns the scope of the invocation that they name. */
    #asMember(): TrackedPool {
      const of = ({ scope }: Invocation) => scope && this.#branches.get(scope)?.member
      return {
        pool: this,
        begin: (invocation, hints) => of(invocation)?.begin(invocation, hints),
        holds: (invocation) => of(invocation)?.holds(invocation) ?? false,
        finish: (invocation) => of(invocation)?.finish(invocation) ?? [],
        closeIdle: async () => {},
      }
    }
  }

  return behindProxies(ScopedPool)
}

function scopeOrNone(): Scope | undefined {
  try {
    return currentScope()
  } catch {
    return undefined
  }
}

function checkSource(source: unknown): Source | SourceFunction<never> {
  if (['string', 'object', 'function'].includes(typeof source)) return source as Source
  throw new OptionError({
    option: 'config',
    allowed: 'a connection string, options, a Hyperdrive binding, or a function of the bindings',
    message: `new Pool() received ${named(source)}. Write new Pool((env) => env.HYPERDRIVE), or new Pool({ connectionString: url }).`,
  })
}
