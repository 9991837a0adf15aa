/** The IP address of a connection. A name, or a factory, may lead to another server the next time. */

import type { PeerClient, PeerConnection, PeerStream } from '../driver/peer.ts'
import { streamOf } from '../driver/socket.ts'

export interface Address {
  readonly host: string
  readonly port: number
}

/** Undefined if the socket does not report it: Unix sockets and WebSockets. */
export function addressOf(client: PeerClient): Address | undefined {
  const { remoteAddress, remotePort } = streamOf(client) ?? {}
  return remoteAddress === undefined || remotePort === undefined ? undefined : { host: remoteAddress, port: remotePort }
}

/**
 * Makes a connection that is not open yet go to that address, wherever it is told to go; TLS still verifies the name that the user gave. A
 * stream of the user's own that finds its own way (a tunnel, a connector) is left alone: what we see of it is the tunnel's address.
 */
export function aim(
  connection: Pick<PeerConnection, 'stream'>,
  address: Address | undefined,
  goesWhereTold: (stream: PeerStream) => boolean,
): void {
  const stream = connection.stream as PeerStream & { connect?: (port: number, host: string) => unknown }
  const { connect } = stream
  if (!address || !connect || !goesWhereTold(stream)) return
  stream.connect = () => {
    stream.connect = connect
    return connect.call(stream, address.port, address.host)
  }
}
