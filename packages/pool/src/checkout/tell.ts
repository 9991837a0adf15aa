/** Telling of what happens often, or in several places. */

import { codeOf, type Events } from '@thaw/core'

/** A caller got a connection. */
export function tellAcquired(events: Events, how: 'trusted' | 'piggybacked' | 'probed' | 'new'): void {
  if (events.active) events.emit({ type: 'acquired', how })
  // The hot path: nothing is made that nobody reads.
  else events.counts.acquired++
}

/** Something is tried again. */
export function tellRetried(events: Events, what: 'connect' | 'statement', delayMillis: number, error: Error): void {
  const code = codeOf(error)
  events.emit({ type: 'retried', what, delayMillis, ...(code !== undefined && { code }) })
}
