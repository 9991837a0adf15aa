/** Asking the server to stop working on a statement that nobody waits for any more. */

import { type Clock, startDeadline } from '@thaw/core'
import type { Driver } from './driver.ts'
import type { PeerClient } from './peer.ts'

/** How long the request may take. Nobody waits for it: the statement's caller has been told already. */
const CANCEL_MILLIS = 2000

/**
 * Sends a CancelRequest on a connection of its own, as the protocol wants it
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS), with TLS where the client has it. A request
 * that fails is forgotten: the connection is given up anyway, and the server notices when it wants to answer.
 */
export function requestCancel(client: PeerClient, clock: Clock, driver: Pick<Driver, 'connectionFor'>): void {
  const { processID, secretKey, host, port } = client
  if (!processID || typeof client.connection?.ssl === 'undefined') return
  const { ssl } = client.connection
  const connection = driver.connectionFor(client)
  const destroy = () => connection.stream.destroy()
  const deadline = startDeadline(clock, CANCEL_MILLIS, destroy, true)
  const ask = () => connection.cancel(processID, secretKey)
  connection.on('error', destroy)
  connection.on('end', () => deadline.cancel())
  connection.on('connect', () => (ssl ? connection.requestSsl() : ask()))
  connection.on('sslconnect', ask)
  if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`)
  else connection.connect(port, host)
}
