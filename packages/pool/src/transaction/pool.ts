/** The pool, with transactions: what is built upon connections, where `../pool.ts` hands them out. */

import { createStatementCache, type Outcome } from '@thaw/core'
import type { QueryResult } from 'pg'
import { type OwnWork, ownWorkOf } from '../checkout/own-work.ts'
import { createPoolContext, type PoolContext } from '../connection/pool-context.ts'
import { whenListenersEnd } from '../connection/when-finished.ts'
import type { Driver } from '../driver/driver.ts'
import { behindProxies } from '../driver/itself.ts'
import type { PeerClient } from '../driver/peer.ts'
import { answerBy, type Callback, failLater, promisify } from '../driver/promisify.ts'
import { settingsOf } from '../options/options.ts'
import { checkNames } from '../options/query-config.ts'
import { poolOver, type ThawPool } from '../pool.ts'
import { ExactlyOnce, noteUnknown, wantsOnce } from './exactly-once.ts'
import { Keeper } from './kept-result.ts'
import type { LostKey } from './keyed.ts'
import { type BatchOptions, misplacedOptions, type TransactionOptions } from './rules.ts'
import type { LostCommit } from './settle.ts'
import type { TransactionClient } from './transaction-client.ts'

/** What the pool has become. */
export interface TransactingPool extends ThawPool {
  transaction<Result>(work: (client: TransactionClient) => Promise<Result> | Result, options?: TransactionOptions): Promise<Result>
  batch(statements: readonly unknown[], options?: BatchOptions): Promise<unknown[]>
  outcome(error: unknown): Promise<Exclude<Outcome, 'unknown'>>
  createIdempotencyTable(): Promise<void>
}

/** Extends the driver's class. Each call makes another class. */
export function transactingPoolOver(driver: Driver): new (config?: object, Client?: unknown, context?: PoolContext) => TransactingPool {
  class TransactingPool extends poolOver(driver) {
    // A literal: minifiers rename classes, and ORMs look for "Pool" in the name. No field: webpack's minifier assigns it, which throws.
    static override get name(): string {
      return 'Pool'
    }

    readonly #context: PoolContext
    #exactlyOnce: ExactlyOnce | undefined

    constructor(config?: object, Client?: unknown, context: PoolContext = createPoolContext()) {
      super(config, Client, context)
      this.#context = context
    }

    /** Made when it is first wanted: who does not use it pays nothing. */
    get #once(): ExactlyOnce {
      this.#exactlyOnce ??= this.#createOnce()
      return this.#exactlyOnce
    }

    #createOnce(): ExactlyOnce {
      const { memory } = this.#context
      const settings = settingsOf(this.options as object)
      const own = ownWorkOf(this) as OwnWork
      const host = {
        driver,
        memory,
        settings,
        clock: settings.clock,
        classify: createStatementCache(),
        tells: undefined,
        keeper: new Keeper(),
        connect: async (signal?: AbortSignal) => {
          const client = (await (signal ? this.connect({ signal }) : this.connect())) as PeerClient
          await new Promise<void>((resolve) => whenListenersEnd(client, settings, signal, resolve))
          return client
        },
        queryTimeoutMillis: Number((this.options as { query_timeout?: unknown }).query_timeout) || 0,
        cancel: (client: PeerClient) => own.cancel(client),
        roles: own.roles,
        borrow: (timeoutMillis: number) => own.borrow(settings.clock, timeoutMillis),
        begin: () => own.begin(),
        isEnding: () => this.ending,
        isTurnedOut: () => own.isTurnedOut,
        unknown: (error: Error, commit: LostCommit) => noteUnknown(error, { commit, memory }),
        unknownKey: (error: Error, key: LostKey) => noteUnknown(error, { key, memory }),
      }
      return new ExactlyOnce(host)
    }

    override query(text: unknown, values?: unknown, callback?: Callback<QueryResult>): Promise<QueryResult> | undefined {
      const isTwoArguments = typeof values === 'function'
      let isOnce: boolean
      try {
        checkNames(text)
        isOnce = wantsOnce(text)
      } catch (thrown) {
        return failLater(this.Promise, isTwoArguments ? (values as Callback<QueryResult>) : callback, thrown)
      }
      const misplaced = misplacedOptions(callback)
      if (misplaced) return failLater(this.Promise, undefined, misplaced)
      if (!isOnce) return super.query(text, values, callback)
      const promised = promisify(this.Promise, isTwoArguments ? (values as Callback<QueryResult>) : callback)
      answerBy(this.#once.query(text as object, isTwoArguments ? undefined : values) as Promise<QueryResult>, promised)
      return promised.result
    }

    transaction<Result>(work: (client: TransactionClient) => Promise<Result> | Result, options?: TransactionOptions): Promise<Result> {
      return this.#once.transaction(work, options)
    }

    batch(statements: readonly unknown[], options?: BatchOptions): Promise<unknown[]> {
      return this.#once.batch(statements, options)
    }

    outcome(error: unknown): Promise<Exclude<Outcome, 'unknown'>> {
      return this.#once.outcome(error)
    }

    createIdempotencyTable(): Promise<void> {
      return this.#once.createIdempotencyTable()
    }
  }

  return behindProxies(TransactingPool)
}
