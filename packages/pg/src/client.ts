/** pg's Client, watched from birth. */

import { systemClock } from '@thaw/core'
import pg from 'pg'
import type { PeerClient } from './peer.ts'
import { watch } from './vitals.ts'

/**
 * `pg.Client` that cannot end the process: an `error` event without a listener, from a socket that died between two
 * statements, is not thrown. The next statement fails instead, as it would anyway. It also offers P-256 first to TLS servers.
 *
 * A pool watches its clients by itself. Use this one where you would use `pg.Client`: for one long-lived connection, for
 * `LISTEN`, or as the `Client` option of a pool that some other library makes.
 */
export class Client extends pg.Client {
  /** Survives minifiers: ORMs look at class names. */
  static override readonly name: string = 'Client'

  constructor(config?: string | pg.ClientConfig) {
    super(config)
    watch(this as unknown as PeerClient, systemClock, 0, Number.POSITIVE_INFINITY)
  }
}
