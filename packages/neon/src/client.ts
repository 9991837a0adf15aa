/** Neon's Client, watched from its construction on. */

import type * as neon from '@neondatabase/serverless'
import { isMadeByPool, type PeerClient, type ThawOptions, watchAlone, watchedClient } from '@thaw/pool'
import { driver } from './driver.ts'
import type { TakesOptions } from './drop-in-pool.ts'
import { NeonClient } from './neon-client.ts'

/** Every option of Neon's `Client`, and those of the probe in front of a statement. */
type ClientConfig = neon.ClientConfig & Pick<ThawOptions, 'trustMillis' | 'probeTimeoutMillis'>
type ClientClass = new (config?: string | ClientConfig) => neon.Client & TakesOptions

const Watched = watchedClient(NeonClient) as ClientClass

/**
 * Neon's `Client` that never loses a statement silently, and cannot end the process.
 *
 * - An `error` event without a listener, from a WebSocket that died between two statements, is not thrown.
 * - After a silence (`trustMillis`, 500 by default), the socket is polled and the connection probed before the next statement is sent. If it
 *   is dead, the statement fails as not executed; one that says nothing is waited for ten times `probeTimeoutMillis`, which is ten seconds.
 *   The client is never reconnected behind its owner's back.
 * - A statement whose connection is lost fails with `ConnectionLostError` or `OutcomeUnknownError`, and the `error` event has the same error.
 * - `query_timeout` and `signal` end the statement at the server too.
 * - `connectionTimeoutMillis` does not count the time for which the process was frozen.
 * - `connect()` resolves when the server has accepted the login, with `pipelineConnect` too.
 */
export class Client extends Watched {
  /** Survives minifiers: ORMs look at class names. Not a field: webpack's minifier turns it into an assignment, which throws. */
  static override get name(): string {
    return 'Client'
  }

  /** @throws {OptionError} naming what is wrong with the connection string, `trustMillis` or `probeTimeoutMillis`. */
  constructor(config?: string | ClientConfig) {
    const isPools = isMadeByPool()
    super(config)
    if (!isPools) watchAlone(this as unknown as PeerClient, driver, config)
  }
}
