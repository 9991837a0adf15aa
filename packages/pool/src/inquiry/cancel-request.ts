/** Asks the server to stop working on a statement that is no longer needed. */

import { type Clock, startDeadline } from '@thaw/core'
import type { CancelConnection, Driver } from '../driver/driver.ts'
import { nextTick } from '../driver/next-tick.ts'
import type { PeerClient } from '../driver/peer.ts'
import { type Address, addressOf, aim } from './address.ts'

/** How long the request may take. Nothing waits for it: the statement's caller has already been answered. */
const CANCEL_MILLIS = 2000

type Means = Pick<Driver, 'connectionFor' | 'goesWhereTold'>

/**
 * Sends a CancelRequest on a separate connection, as the protocol requires
 * (https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS): made in the same way as the client's, to
 * the same IP address, with TLS if the client has it. The secret key goes nowhere else. A request that fails is ignored: the connection is
 * given up anyway, and the server notices when it tries to answer. Call it before the client's socket is destroyed.
 *
 * @param options what the client was made from.
 * @param done called once, and never in this tick: its connection is closed, or could not be made.
 * @param soon calls back when there is room for its connection, and never in this tick.
 */
export function requestCancel(
  client: PeerClient,
  clock: Clock,
  driver: Means,
  options: object,
  done: () => void = () => {},
  soon: (open: () => void) => void = nextTick,
): void {
  const address = addressOf(client)
  soon(() => {
    try {
      const connection = open(client, address, driver, options)
      if (connection) send(connection, client, clock, done)
      else done()
    } catch {
      // The user's factory may throw. There is no caller to report it to.
      done()
    }
  })
}

/** Undefined: it cannot be made a second time, or there is nothing to say on it. */
function open(
  client: PeerClient,
  address: Address | undefined,
  driver: Means,
  { stream }: { readonly stream?: unknown },
): CancelConnection | undefined {
  if (!client.processID || typeof client.connection?.ssl === 'undefined') return undefined
  const connection = driver.connectionFor(client, stream)
  if (connection) aim(connection, address, (made) => stream === undefined || driver.goesWhereTold(made))
  return connection
}

function send(connection: CancelConnection, { processID, secretKey, host, port }: PeerClient, clock: Clock, done: () => void): void {
  const { ssl, sslNegotiation } = connection
  let isOver = false
  const finish = () => {
    deadline.cancel()
    if (!isOver) done()
    isOver = true
  }
  const destroy = () => connection.stream.destroy()
  const giveUp = () => {
    destroy()
    finish()
  }
  const deadline = startDeadline(clock, CANCEL_MILLIS, giveUp, true)
  const ask = () => connection.cancel(processID as number, secretKey)
  connection.on('error', destroy)
  connection.on('end', finish)
  connection.on('connect', () => {
    if (!ssl) ask()
    else if (sslNegotiation !== 'direct') connection.requestSsl()
  })
  connection.on('sslconnect', () => whenSecure(connection, ask))
  if (host.startsWith('/')) connection.connect(`${host}/.s.PGSQL.${port}`)
  else connection.connect(port, host)
}

/** pg emits `sslconnect` before the other side has proven its identity. Only Node's TLS reports when it has. */
function whenSecure({ stream }: CancelConnection, ask: () => void): void {
  if ('authorized' in stream) stream.once('secureConnect', ask)
  else ask()
}
