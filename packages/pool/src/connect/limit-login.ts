/** A client outside of the pool: how long its connection attempt may take. */

import { type Clock, startDeadline } from '@thaw/core'
import type { ConnectResult, PeerClient } from '../driver/peer.ts'

/**
 * `connectionTimeoutMillis` as the driver has it: the same message, the socket is closed, and it keeps no process alive. But not by the driver's
 * timer, which counts the time for which the process was frozen, and ends the attempt at the thaw before the socket has been read. To be called
 * before the client connects.
 */
export function limitLogin(client: PeerClient, clock: Clock): void {
  const { connection, _connect } = client
  if (!_connect) return
  const connect = function (this: PeerClient, done: (...result: ConnectResult) => void): void {
    const millis = Number(client._connectionTimeoutMillis)
    client._connectionTimeoutMillis = 0
    if (!(millis > 0)) return _connect.call(client, done)
    const expire = () => {
      // A second `connect()` has replaced the callback of the first.
      if (!client._connecting) return
      connection._ending = true
      connection.stream.destroy(new Error('timeout expired'))
    }
    const deadline = startDeadline(clock, millis, expire, true)
    // Its owner may have closed it: then it is not told.
    connection.once('end', () => deadline.cancel())
    try {
      _connect.call(client, function (this: unknown, ...result) {
        deadline.cancel()
        done.apply(this, result)
      })
    } catch (error) {
      deadline.cancel()
      throw error
    }
  }
  // Not enumerable: people print their clients.
  Object.defineProperty(client, '_connect', { value: connect, configurable: true, writable: true })
}
