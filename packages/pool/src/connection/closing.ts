/** The end of one connection: its Terminate message, and how long that may take. */

import { type Clock, startDeadline } from '@thaw/core'
import { nextTick } from '../driver/next-tick.ts'
import type { PeerClient } from '../driver/peer.ts'
import { streamOf } from '../driver/socket.ts'

/** How long a server may take to close its end of a connection that we have ended, before we close ours by force. */
const CLOSE_MILLIS = 1000

/**
 * Closes the client, and calls back once when it is closed. pg waits until the server closes its end, which a server that is gone never
 * does; and Neon's driver does not call back at all for a connection that has ended by itself.
 */
export function close(client: PeerClient, clock: Clock, closed: () => void): void {
  let isOver = false
  const finish = () => {
    if (isOver) return
    isOver = true
    deadline.cancel()
    client.removeListener('end', finish)
    closed()
  }
  const isGone = streamOf(client)?.destroyed === true
  client.once('end', finish)
  const force = () => {
    streamOf(client)?.destroy()
    finish()
  }
  const deadline = startDeadline(clock, CLOSE_MILLIS, force, true)
  const ended: unknown = (client.end as (callback: () => void) => unknown)(finish)
  // Neon's returns a promise, whatever it is given.
  if (ended instanceof Promise) ended.catch(() => {})
  if (isGone) nextTick(finish)
}
