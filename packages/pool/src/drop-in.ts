/** What a Thaw pool has beside the driver's own, whichever driver it is. */

import type { ThawListener } from '@thaw/core'
import type { ConnectOptions, EndOptions } from './options/options.ts'
import type { PoolStats } from './stats.ts'

type Acquired<Client> = (error: Error | undefined, client: Client | undefined, done: (release?: unknown) => void) => void

/** `pool.connect`, in every form. A method, as in the drivers' types: only a method can be overridden by a subclass's. */
export interface Connects<Client> {
  /** As the driver's: a client for the caller alone, until `release()`. */
  connect(): Promise<Client>
  connect(callback: Acquired<Client>): void
  /** The same, but the caller can stop waiting. */
  connect(options: ConnectOptions): Promise<Client>
  connect(options: ConnectOptions, callback: Acquired<Client>): void
}

/** `pool.end`, in every form. A method, see {@link Connects}. */
export interface Ends {
  /** As the driver's: no new callers; resolves when every client has been released and closed. */
  end(): Promise<void>
  end(callback: () => void): void
  /**
   * The same, but within `timeoutMillis`: then the connections still in use are destroyed, and callers still waiting for one are rejected.
   *
   * @throws {OptionError} if the option is impossible.
   */
  end(options: EndOptions): Promise<void>
  end(options: EndOptions, callback: () => void): void
}

/** What happens in a pool, as events and as counts. */
export interface Observed {
  /** Calls `listener` for each event from now on. Returns the function that unsubscribes it. Unlike `on`, it leaves Neon's fetch mode on. */
  subscribe(listener: ThawListener): () => void
  /** Counts of what has happened so far. */
  stats(): PoolStats
}
