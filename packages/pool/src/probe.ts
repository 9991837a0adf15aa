/** Asking a connection whether it lives. */

import { type Clock, startDeadline } from '@thaw/core'
import type { PeerClient } from './peer.ts'

/**
 * A bare protocol Sync. The server answers it with ReadyForQuery and nothing else: five bytes out, six back, no SQL, no
 * trace in pg_stat_activity. It is valid in a failed transaction and passes through PgBouncer
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-EXT-QUERY).
 */
const SYNC = Uint8Array.of(0x53, 0, 0, 0, 4)

/**
 * Sends the Sync to an idle client and waits for the answer, at most `timeoutMillis`. Does not pass through
 * `client.query`, which tracing tools patch. Calls back once.
 */
export function probe(client: PeerClient, clock: Clock, timeoutMillis: number, done: (alive: boolean) => void): void {
  const { connection } = client
  const settle = (alive: boolean) => {
    deadline.cancel()
    connection.off('readyForQuery', answered)
    client.off('error', died)
    client.off('end', died)
    done(alive)
  }
  const answered = () => settle(true)
  const died = () => settle(false)
  connection.on('readyForQuery', answered)
  client.on('error', died)
  client.on('end', died)
  const deadline = startDeadline(clock, timeoutMillis, died)
  connection.stream.write(SYNC)
}
