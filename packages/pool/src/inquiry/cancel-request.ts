/** Asks the server to stop working on a statement that is no longer needed. */

import { type Clock, startDeadline } from '@thaw/core'
import { isBroken } from '../connection/vitals.ts'
import type { CancelConnection, Driver } from '../driver/driver.ts'
import { activeQueryOf, type PeerClient } from '../driver/peer.ts'
import { addressOf, aim } from './address.ts'

/** How long the request may take. Nothing waits for it: the statement's caller has already been answered. */
const CANCEL_MILLIS = 2000

/** Would closing the connection leave a statement running at the server? */
export function isAtWork(client: PeerClient): boolean {
  return activeQueryOf(client) !== undefined && !isBroken(client)
}

/**
 * Sends a CancelRequest on a separate connection, as the protocol requires
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS): made in the same way as the client's, to
 * the same IP address, with TLS if the client has it. The secret key goes nowhere else. A request that fails is ignored: the connection is
 * given up anyway, and the server notices when it tries to answer. Call it before the client's socket is destroyed.
 *
 * @param options what the client was made from.
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
    // The user's factory may throw. There is no caller to report it to.
    return undefined
  }
}

/** pg emits `sslconnect` before the other side has proven its identity. Only Node's TLS reports when it has. */
function whenSecure({ stream }: CancelConnection, ask: () => void): void {
  if ('authorized' in stream) stream.once('secureConnect', ask)
  else ask()
}
