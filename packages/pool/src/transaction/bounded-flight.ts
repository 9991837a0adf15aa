/**
 * A write under a key that its caller ends: the server is asked to stop, and its answer is waited for a moment longer. That answer says what became of the write. Without it the table of keys would have to be
 * asked, whose answer waits for the very statement that the write was waiting for: another one under the same key.
 */

import { type Clock, codeOf } from '@thaw/core'
import { bound } from '../connection/interruption.ts'
import { lossOf } from '../connection/lost-statement.ts'
import type { PeerClient } from '../driver/peer.ts'
import type { Landing } from './flight.ts'

export interface BoundedHost {
  readonly clock: Clock
  cancel(client: PeerClient): void
}

interface FlightBounds {
  readonly timeoutMillis: number
  readonly signal: AbortSignal | undefined
}

/** How long the server has to answer: as long as a CancelRequest may take. Then the connection is closed. */
const ANSWER_MILLIS = 2_000
/** PostgreSQL's query_canceled. */
export const CANCELED = '57014'

/** What the flight is given in place of the caller's bounds. */
interface Inner {
  readonly signal: AbortSignal | undefined
  readonly query_timeout: number | undefined
}

/** `endedBy`: its caller has ended it, and a cancel may still be on its way to the connection. */
export async function flyBounded(
  host: BoundedHost,
  client: PeerClient,
  { timeoutMillis, signal }: FlightBounds,
  send: (inner: Inner) => Promise<Landing>,
): Promise<{ readonly landing: Landing; readonly endedBy?: Error | undefined }> {
  if (!timeoutMillis && !signal) return { landing: await send({ signal: undefined, query_timeout: undefined }) }
  const { clock } = host
  const last = new AbortController()
  let endedBy: Error | undefined
  let timer: ReturnType<Clock['setTimer']> | undefined
  const lift = bound(clock, { timeoutMillis, signal }, (reason) => {
    endedBy = reason
    host.cancel(client)
    timer = clock.setTimer(() => last.abort(reason), ANSWER_MILLIS)
  })
  const landing = await send({ signal: last.signal, query_timeout: timeoutMillis ? timeoutMillis + 2 * ANSWER_MILLIS : undefined })
  lift()
  if (timer !== undefined) clock.clearTimer(timer)
  const { error } = landing
  const isStopped = endedBy && error && codeOf(error) === CANCELED && !lossOf(error)
  return { landing: isStopped ? { ...landing, error: endedBy as Error, failedAt: -1 } : landing, endedBy }
}
