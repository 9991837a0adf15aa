/** A client that its caller has kept never passes the health check at acquire: its socket is polled, and it is probed, before its next statement. */

import { pollSockets } from '@thaw/core'
import { wireError } from '../driver/errno.ts'
import type { PeerClient } from '../driver/peer.ts'
import type { Bounds } from './interruption.ts'
import { probe } from './probe.ts'
import type { StatementHost } from './statement-host.ts'
import { isBroken, type Vitals } from './vitals.ts'

/**
 * For how many times `probeTimeoutMillis` the reply is waited for while a caller has the client. An idle connection is replaced on suspicion, and
 * nothing is lost; with this one a transaction would be, locks, LISTEN. With the default that is ten seconds, in which TCP resends five
 * times (after 0.2, 0.6, 1.4, 3 and 6.2 s), and as long as a caller waits for a connection.
 */
const TIMES_WHILE_HELD = 10

/** Calls back once: `alive`, when the time of the statements that wait for it has begun, or `dead`, with the error for them. */
export function proveKept(
  client: PeerClient,
  vitals: Vitals,
  { clock, probeTimeoutMillis }: Pick<StatementHost, 'clock' | 'probeTimeoutMillis'>,
  alive: () => void,
  dead: (error: Error) => void,
): void {
  const begins: (() => void)[] = []
  vitals.asking = begins
  let times = 1
  const foundDead = (code: 'ECONNRESET' | 'ETIMEDOUT', why: string) => {
    vitals.asking = undefined
    dead(wireError(code, `Connection found dead before a statement was sent (${why})`))
  }
  const waitsOn = () => {
    if (!isHeld(vitals) || times === TIMES_WHILE_HELD) return false
    times++
    return true
  }
  const settled = (isAlive: boolean) => {
    if (!isAlive) return foundDead('ETIMEDOUT', `it did not reply to a probe within ${times * probeTimeoutMillis} ms`)
    vitals.asking = undefined
    for (const begin of begins) begin()
    alive()
  }
  pollSockets(clock, () => {
    if (isBroken(client)) return foundDead('ECONNRESET', 'its socket had already closed')
    probe(client, vitals, clock, probeTimeoutMillis, settled, waitsOn)
  })
}

/** Has a caller got it? One that belongs to no pool is never taken back. */
function isHeld({ state }: Vitals): boolean {
  return state === 'in use' || state === 'connecting'
}

/**
 * The bounds of a statement that may have to wait for the probe: its time begins with the reply. The wait itself may take as long once more, but
 * at least `probeTimeoutMillis`.
 */
export function boundedWhileAsked(
  bounds: Bounds,
  { asking }: Vitals,
  { probeTimeoutMillis }: Pick<StatementHost, 'probeTimeoutMillis'>,
): Bounds {
  if (!asking) return bounds
  return {
    ...bounds,
    begins: (begin) => void asking.push(begin),
    waitMillis: Math.max(bounds.timeoutMillis, probeTimeoutMillis),
  }
}
