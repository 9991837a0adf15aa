/** pg's Client, watched from birth. */

import { type Clock, createStatementCache, elapsedMillis, read, systemClock } from '@thaw/core'
import pg from 'pg'
import type { QueryWithOptions } from './drop-in-pool.ts'
import { DEFAULT_PROBE_TIMEOUT_MILLIS, DEFAULT_TRUST_MILLIS } from './options.ts'
import type { PeerClient } from './peer.ts'
import { type Vitals, watch } from './vitals.ts'
import { attach, watchedClient } from './watched-client.ts'

type ClientClass = Omit<typeof pg.Client, never> &
  (new (
    config?: string | pg.ClientConfig,
  ) => pg.Client & { query: pg.Client['query'] & QueryWithOptions })

const Watched = watchedClient(pg.Client) as ClientClass
const classify = createStatementCache()

/**
 * `pg.Client` that does not lose a statement without a word, and cannot end the process.
 *
 * - An `error` event without a listener, from a socket that died between two statements, is not thrown.
 * - After a silence the connection is swept and asked before the next statement is sent. If it is dead, the statement fails as not
 *   executed. It is never dialled again behind its owner's back.
 * - A statement whose connection is lost fails with `ConnectionLostError` or `OutcomeUnknownError`.
 * - `query_timeout` and `signal` end the statement at the server too.
 * - P-256 is offered first to TLS servers.
 *
 * A pool watches its clients by itself. Use this one where you would use `pg.Client`: for one long-lived connection, for
 * `LISTEN`, or as the `Client` option of a pool that some other library makes.
 */
export class Client extends Watched {
  /** Survives minifiers: ORMs look at class names. */
  static override readonly name: string = 'Client'

  constructor(config?: string | pg.ClientConfig) {
    super(config)
    const self = this as unknown as PeerClient
    const vitals = watch(self, systemClock, 0, Number.POSITIVE_INFINITY)
    attach(self, vitals, ownerless(systemClock, vitals))
  }
}

/** Nobody but itself to ask, and nobody to tell. */
function ownerless(clock: Clock, vitals: Vitals) {
  return {
    clock,
    probeTimeoutMillis: DEFAULT_PROBE_TIMEOUT_MILLIS,
    classify,
    isDirect: false,
    mustProve: () => elapsedMillis(vitals.provenAt, read(clock)) >= DEFAULT_TRUST_MILLIS,
    reported() {},
  }
}
