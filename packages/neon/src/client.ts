/** Neon's Client, watched from its construction on. */

import type * as neon from '@neondatabase/serverless'
import { isMadeByPool, type PeerClient, watchAlone, watchedClient } from '@thaw/pool'
import { driver } from './driver.ts'
import type { TakesOptions } from './drop-in-pool.ts'
import { NeonClient } from './neon-client.ts'

type ClientClass = new (config?: string | neon.ClientConfig) => neon.Client & TakesOptions

const Watched = watchedClient(NeonClient) as ClientClass

/**
 * Neon's `Client` that never loses a statement silently, and cannot end the process.
 *
 * - An `error` event without a listener, from a WebSocket that died between two statements, is not thrown.
 * - After a silence, the socket is polled and the connection probed before the next statement is sent. If it is dead, the statement fails
 *   as not executed. The client is never reconnected behind its owner's back.
 * - A statement whose connection is lost fails with `ConnectionLostError` or `OutcomeUnknownError`.
 * - `query_timeout` and `signal` end the statement at the server too.
 * - `connect()` resolves when the server has accepted the login, with `pipelineConnect` too.
 */
export class Client extends Watched {
  /** Survives minifiers: ORMs look at class names. Not a field: webpack's minifier turns it into an assignment, which throws. */
  static override get name(): string {
    return 'Client'
  }

  /** @throws {OptionError} naming what is wrong with the connection string. */
  constructor(config?: string | neon.ClientConfig) {
    const isPools = isMadeByPool()
    super(config)
    if (!isPools) watchAlone(this as unknown as PeerClient, driver, config)
  }
}
