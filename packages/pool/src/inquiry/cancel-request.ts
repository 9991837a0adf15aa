/** Asking the server to stop working on a statement that nobody waits for any more. */

import { type Clock, startDeadline } from '@thaw/core'
import { isBroken } from '../connection/vitals.ts'
import type { CancelConnection, Driver } from '../driver/driver.ts'
import { activeQueryOf, type PeerClient } from '../driver/peer.ts'
import { addressOf, aim } from './address.ts'

/** How long the request may take. Nobody waits for it: the statement's caller has been told already. */
const CANCEL_MILLIS = 2000

/** Would closing the connection leave a statement running at the server? */
export function isAtWork(client: PeerClient): boolean {
  return activeQueryOf(client) !== undefined && !isBroken(client)
}

/**
 * Sends a CancelRequest on a connection of its own, as the protocol wants it
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS): made as the client's was, to the very
 * address of the client's, with TLS where the client has it. The secret goes to nobody else. A request that fails is forgotten: the
 * connection is given up anyway, and the server notices when it wants to answer. Call it before the client's socket is destroyed.
 *
 * @param options what the client was made of.
 */
export function requestCancel(
  client: PeerClient,
  clock: Clock,
  driver: Pick<Driver, 'connectionFor' | 'goesWhereTold'>,
  options: object,
): void {
  const { processID, secretKey, host, port } = client
  if (!processID || typeof client.connection?.ssl === 'undefined') return
  const { ssl, sslNegotiation } = client.connection
  const connection = open(client, driver, options)
  if (!connection) return
  const destroy = () => connection.stream.destroy()
  const deadline = startDeadline(clock, CANCEL_MILLIS, destroy, true)
  const ask = () => connection.cancel(processID, secretKey)
  connection.on('error', destroy)
  connection.on('end', () => deadline.cancel())
  connection.on('connect', () => {
    if (!ssl) ask()
    else if (sslNegotiation !== 'direct') connection.requestSsl()
  })
  connection.on('sslconnect', () => whenSecure(connection, ask))
  if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`)
  else connection.connect(port, host)
}

/** Undefined: it cannot be made a second time. */
function open(
  client: PeerClient,
  driver: Pick<Driver, 'connectionFor' | 'goesWhereTold'>,
  options: { readonly stream?: unknown },
): CancelConnection | undefined {
  try {
    const connection = driver.connectionFor(client, options.stream)
    if (connection) aim(connection, addressOf(client), (stream) => options.stream === undefined || driver.goesWhereTold(stream))
    return connection
  } catch {
    // The user's factory may throw. Nobody is there to be told.
    return undefined
  }
}

/** pg says `sslconnect` before the other side has shown who it is. Only Node's TLS tells when it has. */
function whenSecure({ stream }: CancelConnection, ask: () => void): void {
  if ('authorized' in stream) stream.once('secureConnect', ask)
  else ask()
}
