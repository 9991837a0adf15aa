/** Emits events that are frequent, or come from several places. */

import { type Clock, codeOf, type Events, type ThawEvent } from '@thaw/core'
import type { Loss } from '../connection/lost-statement.ts'
import { tellReleased } from '../connection/traced-client.ts'
import { isBroken, type Vitals } from '../connection/vitals.ts'
import type { PeerClient } from '../driver/peer.ts'

/** A caller got a connection, for which it has waited since then, on the monotonic clock. Undefined: it has not waited. */
export function emitAcquired(
  events: Events,
  how: 'trusted' | 'piggybacked' | 'probed' | 'new',
  vitals: Vitals,
  clock: Clock,
  since: number | undefined,
): void {
  // The hot path: without a listener, no clock is read and no object is made.
  vitals.acquiredAt = events.hears('released') ? clock.mono() : 0
  if (events.hears('acquired')) events.emit({ type: 'acquired', how, waitedMillis: since === undefined ? 0 : clock.mono() - since })
  else events.counts.acquired++
}

/** The caller no longer has it. May be called again. */
export function emitReleased(events: Events, client: PeerClient, vitals: Vitals, clock: Clock, error?: Error | boolean): void {
  const { acquiredAt } = vitals
  if (acquiredAt === undefined) return
  vitals.acquiredAt = undefined
  tellReleased(client, error)
  if (acquiredAt > 0 && events.hears('released'))
    events.emit({ type: 'released', usedMillis: clock.mono() - acquiredAt, ...((error || isBroken(client)) && { lost: true }) })
  else events.counts.released++
}

type Settled = Pick<Extract<ThawEvent, { type: 'outcome' }>, 'outcome' | 'reason'>

/** A statement lost its connection. `settled`: what the server has told of it since. */
export function emitOutcome(
  events: Events,
  { verdict, evidence, cause }: Loss,
  action: 'retried' | 'reported' | 'resolved',
  settled: Settled = verdict,
): void {
  const code = codeOf(cause)
  const { kind: statement } = evidence.statement
  events.emit({ type: 'outcome', ...settled, statement, action, ...(code !== undefined && { code }) })
}

/** Something is tried again. */
export function emitRetried(events: Events, what: 'connect' | 'statement' | 'transaction', delayMillis: number, error: Error): void {
  const code = codeOf(error)
  events.emit({ type: 'retried', what, delayMillis, ...(code !== undefined && { code }) })
}
