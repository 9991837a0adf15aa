/** Clients that are given back while a statement runs: do they, and when does it end? */

import { startDeadline } from '@thaw/core'
import type { Settings } from './options.ts'
import { type PeerClient, queuedQueriesOf } from './peer.ts'

/** Does a statement run, or wait for its turn? */
export function isBusy(client: PeerClient): boolean {
  return client.readyForQuery === false || queuedQueriesOf(client).length > 0
}

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
