/** When does the statement end that was still running when its client was given back? */

import { startDeadline } from '@thaw/core'
import type { Settings } from './options.ts'
import type { PeerClient } from './peer.ts'

/** Waits for it, at most `releaseTimeoutMillis`: its result is nobody's, its effect is. Calls back once. */
export function whenFinished(client: PeerClient, settings: Settings, done: (finished: boolean) => void): void {
  const settle = (finished: boolean) => {
    deadline.cancel()
    client.off('drain', drained)
    client.off('end', ended)
    done(finished)
  }
  const drained = () => settle(true)
  const ended = () => settle(false)
  client.on('drain', drained)
  client.on('end', ended)
  const deadline = startDeadline(settings.clock, settings.releaseTimeoutMillis, ended)
}
