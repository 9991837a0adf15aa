/** What users see of the pool: Neon's `Pool`, and a little more. */

import type * as neon from '@neondatabase/serverless'
import type { ThawListener } from '@thaw/core'
import type { ConnectOptions, EndOptions, PoolStats, QueryOptions, ThawOptions } from '@thaw/pool'

/**
 * Every option of Neon's `Pool`, and Thaw's. What differs from Neon's when an option is not given:
 *
 * - `connectionTimeoutMillis` is 10 000 (Neon's waits for ever; 0 still means that): long enough for a compute that wakes up.
 * - `max` and `idleTimeoutMillis` follow the platform: 10 and 10 000 on a server, 1 and 300 000 on Lambda, 5 and 5 000 on Vercel.
 */
export interface PoolConfig extends neon.PoolConfig, ThawOptions {
  /** How long a caller waits for a connection, dials and their repeats included. Default: 10 000. 0: for ever. */
  connectionTimeoutMillis?: number | undefined
}

/** One more way to call `query`: with Thaw's options in the configuration. */
export interface QueryWithOptions {
  <Row extends neon.QueryResultRow = neon.QueryResultRow>(
    config: neon.QueryConfig<unknown[]> & QueryOptions,
  ): Promise<neon.QueryResult<Row>>
  <Row extends neon.QueryResultRow = neon.QueryResultRow>(
    config: neon.QueryConfig<unknown[]> & QueryOptions,
    callback: (error: Error, result: neon.QueryResult<Row>) => void,
  ): void
}

/**
 * Neon's `PoolClient` whose statements are not lost without a word.
 *
 * - When the connection is lost under a statement: `OutcomeUnknownError`, or `ConnectionLostError` where nothing of it remains.
 * - After a silence of `trustMillis` the connection is asked before the next statement goes out. It is never dialled again behind its holder's back.
 */
export interface DropInClient extends neon.PoolClient {
  query: neon.PoolClient['query'] & QueryWithOptions
}

/**
 * Neon's `Pool` that survives freezes, dead WebSockets and cold starts. The same class to everyone who looks (`instanceof`, events, callbacks,
 * `options`); see {@link PoolConfig} for what differs.
 */
export interface DropInPool extends neon.Pool {
  /**
   * As Neon's, and with {@link QueryOptions} in the configuration. When the connection is lost under the statement it is sent again, if it certainly
   * was not executed, or only reads, or is `idempotent`.
   *
   * @throws {OutcomeUnknownError} when it may have been executed, or not.
   * @throws {ConnectionLostError} when it was not executed, and sending it again did not help either.
   */
  query: neon.Pool['query'] & QueryWithOptions
  /** As Neon's: a client of the caller's own, until it is given back by `release()`. */
  connect(): Promise<DropInClient>
  connect(callback: (error: Error | undefined, client: DropInClient | undefined, done: (release?: unknown) => void) => void): void
  /** The same, but whoever waits may lose interest. */
  connect(options: ConnectOptions): Promise<DropInClient>
  connect(
    options: ConnectOptions,
    callback: (error: Error | undefined, client: DropInClient | undefined, done: (release?: unknown) => void) => void,
  ): void
  /** As Neon's: no new callers; resolves when every client has been given back and closed. */
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
  /** Tells `listener` about everything that happens from now on. Returns the function that stops it. Unlike `on`, it leaves Neon's fetch mode on. */
  subscribe(listener: ThawListener): () => void
  /** What has happened so far, counted. */
  stats(): PoolStats
}

/** What a pool on Workers is made from. */
export type Source = string | PoolConfig

/** The constructor of {@link DropInPool}. */
export interface PoolConstructor {
  /** @throws {OptionError} naming an option that is absurd or misspelt, or what is wrong with the connection string, before anything is opened. */
  new (config?: PoolConfig): DropInPool
  /** On Cloudflare Workers also by a URL, or by a function of the bindings, which is asked in each request that uses the pool. */
  new <Env = never>(source: string | ((env: Env) => Source | undefined)): DropInPool
  readonly prototype: DropInPool
}
