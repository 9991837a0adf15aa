/** What users see of the pool: `pg.Pool`, and a little more. pg-pool's private members, which the pool overrides, stay private. */

import type { EventCounts, ThawListener } from '@thaw/core'
import type pg from 'pg'
import type { ConnectOptions, EndOptions, PoolConfig } from './options.ts'

/** What happened so far, by the names of the events, and what is there now. */
export type PoolStats = Readonly<EventCounts & Record<'total' | 'idle' | 'waiting' | 'generation', number>>

/**
 * `pg.Pool` that survives freezes, dead sockets and restarts. The same class to everyone who looks (`instanceof`, events,
 * callbacks, `options`); see {@link PoolConfig} for what differs.
 */
export interface DropInPool extends pg.Pool {
  /** As `pg.Pool`: a client of the caller's own, until it is given back by `release()`. */
  connect(): Promise<pg.PoolClient>
  connect(callback: (error: Error | undefined, client: pg.PoolClient | undefined, done: (release?: unknown) => void) => void): void
  /** The same, but whoever waits may lose interest. */
  connect(options: ConnectOptions): Promise<pg.PoolClient>
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
  /** @throws {OptionError} naming an option that is absurd or misspelt, before anything is opened. */
  new (config?: PoolConfig, Client?: unknown): DropInPool
  readonly prototype: DropInPool
}
