/** A client that its caller has kept never passes the health check at acquire: its socket is polled, and it is probed, before its next statement. */

import { pollSockets } from '@thaw/core'
import { wireError } from '../driver/errno.ts'
import type { PeerClient } from '../driver/peer.ts'
import { probe } from './probe.ts'
import type { StatementHost } from './statement-host.ts'
import { isBroken, type Vitals } from './vitals.ts'

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
  const foundDead = (code: 'ECONNRESET' | 'ETIMEDOUT', why: string) => {
    vitals.asking = undefined
    dead(wireError(code, `Connection found dead before a statement was sent (${why})`))
  }
  pollSockets(clock, () => {
    if (isBroken(client)) return foundDead('ECONNRESET', 'its socket had already closed')
    probe(client, vitals, clock, probeTimeoutMillis, (isAlive) => {
      if (!isAlive) return foundDead('ETIMEDOUT', `it did not reply to a probe within ${probeTimeoutMillis} ms`)
      vitals.asking = undefined
      for (const begin of begins) begin()
      alive()
    })
  })
}
