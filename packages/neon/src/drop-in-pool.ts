/** What users see of the pool: Neon's `Pool`, and a little more. */

import type * as neon from '@neondatabase/serverless'
import type {
  BatchOptions,
  BatchStatement,
  Connects,
  Ends,
  Observed,
  OnceOptions,
  QueryOptions,
  Repeated,
  ThawOptions,
  Transactions,
} from '@thaw/pool'

/**
 * Every option of Neon's `Pool`, and Thaw's. Defaults that differ from Neon's:
 *
 * - `connectionTimeoutMillis` is 10 000 (Neon's waits forever; 0 still means that): long enough for a compute that wakes up.
 * - `max` and `idleTimeoutMillis` follow the platform: 10 and 10 000 on a server, 1 and 300 000 on Lambda, 5 and 5 000 on Vercel.
 */
export interface PoolConfig extends neon.PoolConfig, ThawOptions {
  /** How long a caller waits for a connection, including connection attempts and their retries. Default: 10 000. 0: forever. */
  connectionTimeoutMillis?: number | undefined
}

/** A row with `rowMode: 'array'`, as the driver types it. */
type ArrayRow = neon.QueryArrayResult['rows'][number]

/** More ways to call `query`: with Thaw's options in the configuration. A method, as in the driver's types, so that a subclass can override it. */
export interface TakesOptions {
  query<Row extends ArrayRow = ArrayRow>(config: neon.QueryArrayConfig<unknown[]> & QueryOptions): Promise<neon.QueryArrayResult<Row>>
  query<Row extends ArrayRow = ArrayRow>(
    config: neon.QueryArrayConfig<unknown[]> & QueryOptions,
    callback: (error: Error, result: neon.QueryArrayResult<Row>) => void,
  ): void
  query<Row extends neon.QueryResultRow = neon.QueryResultRow>(
    config: neon.QueryConfig<unknown[]> & QueryOptions,
  ): Promise<neon.QueryResult<Row>>
  query<Row extends neon.QueryResultRow = neon.QueryResultRow>(
    config: neon.QueryConfig<unknown[]> & QueryOptions,
    callback: (error: Error, result: neon.QueryResult<Row>) => void,
  ): void
  /** With the values behind the configuration. Last: in front of those with a callback it would take the function for values. */
  query<Row extends ArrayRow = ArrayRow>(
    config: neon.QueryArrayConfig<unknown[]> & QueryOptions,
    values: unknown[],
  ): Promise<neon.QueryArrayResult<Row>>
  query<Row extends neon.QueryResultRow = neon.QueryResultRow>(
    config: neon.QueryConfig<unknown[]> & QueryOptions,
    values: unknown[],
  ): Promise<neon.QueryResult<Row>>
}

/** `query`, with Thaw's options in the configuration. */
export type QueryWithOptions = TakesOptions['query']

/** With `once` or an `idempotencyKey`, for `pool.query()` alone. */
export interface TakesOnce {
  query<Row extends ArrayRow = ArrayRow>(
    config: neon.QueryArrayConfig<unknown[]> & OnceOptions & Pick<QueryOptions, 'signal' | 'query_timeout'>,
  ): Promise<neon.QueryArrayResult<Row> & Repeated>
  /**
   * As the driver's, and with {@link QueryOptions} in the configuration. If the connection is lost during the statement, it is sent again if
   * it certainly was not executed, only reads, or is `idempotent`.
   *
   * @throws {OutcomeUnknownError} if it may have been executed.
   * @throws {ConnectionLostError} if it was not executed, and retrying did not help.
   */
  query<Row extends neon.QueryResultRow = neon.QueryResultRow>(
    config: neon.QueryConfig<unknown[]> & OnceOptions & Pick<QueryOptions, 'signal' | 'query_timeout'>,
  ): Promise<neon.QueryResult<Row> & Repeated>
}

/** The same, with the values behind the configuration: after those of {@link TakesOptions} with a callback, see there. */
export interface TakesValuesOnce {
  query<Row extends ArrayRow = ArrayRow>(
    config: neon.QueryArrayConfig<unknown[]> & OnceOptions & Pick<QueryOptions, 'signal' | 'query_timeout'>,
    values: unknown[],
  ): Promise<neon.QueryArrayResult<Row> & Repeated>
  query<Row extends neon.QueryResultRow = neon.QueryResultRow>(
    config: neon.QueryConfig<unknown[]> & OnceOptions & Pick<QueryOptions, 'signal' | 'query_timeout'>,
    values: unknown[],
  ): Promise<neon.QueryResult<Row> & Repeated>
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
  batch<Row extends neon.QueryResultRow = neon.QueryResult['rows'][number]>(
    statements: readonly (string | BatchStatement)[],
    options?: BatchOptions,
  ): Promise<(neon.QueryResult<Row> & Repeated)[]>
}

/**
 * Neon's `PoolClient`, which never loses a statement silently.
 *
 * - If the connection is lost during a statement: `OutcomeUnknownError`, or `ConnectionLostError` if nothing of it remains.
 * - After a silence of `trustMillis`, the connection is probed before the next statement is sent. It is never reconnected behind the
 *   caller's back.
 */
export interface DropInClient extends StockClient {}
type StockClient = neon.PoolClient & TakesOptions

/**
 * Neon's `Pool` that survives freezes, dead WebSockets and cold starts. It is the same class to any code that checks (`instanceof`, events,
 * callbacks, `options`); see {@link PoolConfig} for what differs.
 */
export interface DropInPool extends StockPool, Transactions<DropInClient>, TakesBatch, Observed {}
/** In this order: the first overload that fits counts. */
type StockPool = Connects<DropInClient> & Ends & neon.Pool & TakesOnce & TakesOptions & TakesValuesOnce

/** What a pool on Workers is made from. */
export type Source = string | PoolConfig

/** The constructor of {@link DropInPool}. */
export interface PoolConstructor extends Statics {
  /**
   * @throws {OptionError} naming an option that is impossible or misspelt, or what is wrong with the connection string, before anything is
   *   opened.
   */
  new (config?: PoolConfig): DropInPool
  /** On Cloudflare Workers also a URL, or a function of the bindings, which is called in each request that uses the pool. */
  new <Env = never>(source: string | ((env: Env) => Source | undefined)): DropInPool
  readonly prototype: DropInPool
}

/** What the driver's class inherits from EventEmitter. */
type Statics = Omit<typeof neon.Pool, 'prototype'>
