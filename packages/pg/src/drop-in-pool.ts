/** What users see of the pool: `pg.Pool`, and a little more. pg-pool's private members, which the pool overrides, stay private. */

import type {
  BatchOptions,
  BatchStatement,
  Connects,
  Ends,
  Observed,
  OnceOptions,
  QueryOptions,
  Repeated,
  SourceFunction,
  Transactions,
} from '@thaw/pool'
import type pg from 'pg'
import type { PoolConfig } from './pool-config.ts'

declare global {
  namespace Cloudflare {
    /** What `wrangler types` fills in: the bindings of the Worker. */
    interface Env {}
  }
}

/** A row with `rowMode: 'array'`, as the driver types it. */
type ArrayRow = pg.QueryArrayResult['rows'][number]

/** More ways to call `query`: with Thaw's options in the configuration. A method, as in the driver's types, so that a subclass can override it. */
export interface TakesOptions {
  query<Row extends ArrayRow = ArrayRow, Values extends unknown[] = unknown[]>(
    config: pg.QueryArrayConfig<Values> & QueryOptions,
  ): Promise<pg.QueryArrayResult<Row>>
  query<Row extends ArrayRow = ArrayRow, Values extends unknown[] = unknown[]>(
    config: pg.QueryArrayConfig<Values> & QueryOptions,
    callback: (error: Error, result: pg.QueryArrayResult<Row>) => void,
  ): void
  query<Row extends pg.QueryResultRow = pg.QueryResultRow, Values extends unknown[] = unknown[]>(
    config: pg.QueryConfig<Values> & QueryOptions,
  ): Promise<pg.QueryResult<Row>>
  query<Row extends pg.QueryResultRow = pg.QueryResultRow, Values extends unknown[] = unknown[]>(
    config: pg.QueryConfig<Values> & QueryOptions,
    callback: (error: Error, result: pg.QueryResult<Row>) => void,
  ): void
  /** With the values behind the configuration. Last: in front of those with a callback it would take the function for values. */
  query<Row extends ArrayRow = ArrayRow, Values extends unknown[] = unknown[]>(
    config: pg.QueryArrayConfig<Values> & QueryOptions,
    values: Values,
  ): Promise<pg.QueryArrayResult<Row>>
  query<Row extends pg.QueryResultRow = pg.QueryResultRow, Values extends unknown[] = unknown[]>(
    config: pg.QueryConfig<Values> & QueryOptions,
    values: Values,
  ): Promise<pg.QueryResult<Row>>
}

/** `query`, with Thaw's options in the configuration. */
export type QueryWithOptions = TakesOptions['query']

/** With `once` or an `idempotencyKey`, for `pool.query()` alone. */
export interface TakesOnce {
  query<Row extends ArrayRow = ArrayRow, Values extends unknown[] = unknown[]>(
    config: pg.QueryArrayConfig<Values> & OnceOptions & Pick<QueryOptions, 'signal' | 'query_timeout'>,
  ): Promise<pg.QueryArrayResult<Row> & Repeated>
  /**
   * As the driver's, and with {@link QueryOptions} in the configuration. If the connection is lost during the statement, it is sent again if
   * it certainly was not executed, only reads, or is `idempotent`.
   *
   * @throws {OutcomeUnknownError} if it may have been executed.
   * @throws {ConnectionLostError} if it was not executed, and retrying did not help.
   */
  query<Row extends pg.QueryResultRow = pg.QueryResultRow, Values extends unknown[] = unknown[]>(
    config: pg.QueryConfig<Values> & OnceOptions & Pick<QueryOptions, 'signal' | 'query_timeout'>,
  ): Promise<pg.QueryResult<Row> & Repeated>
}

/** The same, with the values behind the configuration: after those of {@link TakesOptions} with a callback, see there. */
export interface TakesValuesOnce {
  query<Row extends ArrayRow = ArrayRow, Values extends unknown[] = unknown[]>(
    config: pg.QueryArrayConfig<Values> & OnceOptions & Pick<QueryOptions, 'signal' | 'query_timeout'>,
    values: Values,
  ): Promise<pg.QueryArrayResult<Row> & Repeated>
  query<Row extends pg.QueryResultRow = pg.QueryResultRow, Values extends unknown[] = unknown[]>(
    config: pg.QueryConfig<Values> & OnceOptions & Pick<QueryOptions, 'signal' | 'query_timeout'>,
    values: Values,
  ): Promise<pg.QueryResult<Row> & Repeated>
}

/** A method of its own, with the type of its rows. */
export interface TakesBatch {
  /**
   * Sends several statements as one transaction, in one flight: one round trip, all or nothing. Their results come in the same order, with rows of the type `Row`: where each statement
   * has its own, leave it out, or name a union.
   *
   * @throws {OutcomeUnknownError} when the answer was lost and the server cannot tell. It can where the table of idempotency keys is there, or with `once` for one more round trip.
   * @throws {OptionError} for a batch of nothing, and for what cannot be part of a transaction. And the server's error for the statement that failed.
   */
  batch<Row extends pg.QueryResultRow = pg.QueryResult['rows'][number]>(
    statements: readonly (string | BatchStatement)[],
    options?: BatchOptions,
  ): Promise<(pg.QueryResult<Row> & Repeated)[]>
}

/**
 * `pg.PoolClient`, which never loses a statement silently.
 *
 * - If the connection is lost during a statement: `OutcomeUnknownError`, or `ConnectionLostError` if nothing of it remains.
 * - After a silence of `trustMillis`, the connection is probed before the next statement is sent. It is never reconnected behind the
 *   caller's back.
 */
export interface DropInClient extends StockClient {}
type StockClient = pg.PoolClient & TakesOptions

/**
 * `pg.Pool` that survives freezes, dead sockets and restarts. It is the same class to any code that checks (`instanceof`, events,
 * callbacks, `options`); see {@link PoolConfig} for what differs.
 */
export interface DropInPool extends StockPool, Transactions<DropInClient>, TakesBatch, Observed {}
/** In this order: the first overload that fits counts. */
type StockPool = Connects<DropInClient> & Ends & pg.Pool & TakesOnce & TakesOptions & TakesValuesOnce

/** The constructor of {@link DropInPool}, in every form that node-postgres has. */
export interface PoolConstructor extends Statics {
  /**
   * `source`: options. On Cloudflare Workers also a connection string, a Hyperdrive binding, or a function of the bindings that returns one
   * of these; nothing of it is read before a request uses the pool.
   *
   * @throws {OptionError} naming an option that is impossible or misspelt, before anything is opened.
   */
  new <Env = Cloudflare.Env>(source?: PoolConfig | string | SourceFunction<Env>, Client?: unknown): DropInPool
  readonly prototype: DropInPool
}

/** What the driver's class inherits from EventEmitter. */
type Statics = Omit<typeof pg.Pool, 'prototype'>
