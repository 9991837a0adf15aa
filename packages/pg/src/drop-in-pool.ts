/** What users see of the pool: `pg.Pool`, and a little more. pg-pool's private members, which the pool overrides, stay private. */

import type { ThawListener } from '@thaw/core'
import type { ConnectOptions, EndOptions, PoolStats, QueryOptions, SourceFunction } from '@thaw/pool'
import type pg from 'pg'
import type { PoolConfig } from './pool-config.ts'

declare global {
  namespace Cloudflare {
    /** What `wrangler types` fills in: the bindings of the Worker. */
    interface Env {}
  }
}

/** One more way to call `query`: with Thaw's options in the configuration. */
export interface QueryWithOptions {
  <Row extends pg.QueryResultRow = pg.QueryResultRow, Values extends unknown[] = unknown[]>(
    config: pg.QueryConfig<Values> & QueryOptions,
  ): Promise<pg.QueryResult<Row>>
  <Row extends pg.QueryResultRow = pg.QueryResultRow, Values extends unknown[] = unknown[]>(
    config: pg.QueryConfig<Values> & QueryOptions,
    callback: (error: Error, result: pg.QueryResult<Row>) => void,
  ): void
}

/**
 * `pg.PoolClient` whose statements are not lost without a word.
 *
 * - When the connection is lost under a statement: `OutcomeUnknownError`, or `ConnectionLostError` where nothing of it remains.
 * - After a silence of `trustMillis` the connection is asked before the next statement goes out. It is never dialled again behind its holder's back.
 */
export interface DropInClient extends pg.PoolClient {
  query: pg.PoolClient['query'] & QueryWithOptions
}

/**
 * `pg.Pool` that survives freezes, dead sockets and restarts. The same class to everyone who looks (`instanceof`, events,
 * callbacks, `options`); see {@link PoolConfig} for what differs.
 */
export interface DropInPool extends pg.Pool {
  /**
   * As `pg.Pool`, and with {@link QueryOptions} in the configuration. When the connection is lost under the statement it is sent again, if it certainly
   * was not executed, or only reads, or is `idempotent`.
   *
   * @throws {OutcomeUnknownError} when it may have been executed, or not.
   * @throws {ConnectionLostError} when it was not executed, and sending it again did not help either.
   */
  query: pg.Pool['query'] & QueryWithOptions
  /** As `pg.Pool`: a client of the caller's own, until it is given back by `release()`. */
  connect(): Promise<DropInClient>
  connect(callback: (error: Error | undefined, client: DropInClient | undefined, done: (release?: unknown) => void) => void): void
  /** The same, but whoever waits may lose interest. */
  connect(options: ConnectOptions): Promise<DropInClient>
  connect(
    options: ConnectOptions,
    callback: (error: Error | undefined, client: DropInClient | undefined, done: (release?: unknown) => void) => void,
  ): void
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

/** The constructor of {@link DropInPool}, in every form that node-postgres has. */
export interface PoolConstructor {
  /**
   * `source`: options. On Cloudflare Workers also a connection string, a Hyperdrive binding, or a function of the bindings that returns one of these, of which
   * nothing is read before a request uses the pool.
   *
   * @throws {OptionError} naming an option that is absurd or misspelt, before anything is opened.
   */
  new <Env = Cloudflare.Env>(source?: PoolConfig | string | SourceFunction<Env>, Client?: unknown): DropInPool
  readonly prototype: DropInPool
}
