/** What a ledger needs of its pool. */

import type { Clock, Reading } from '@thaw/core'
import type { PeerClient, PeerQuery } from '../driver/peer.ts'
import type { Expected } from './shared-connection.ts'
import type { Vitals } from './vitals.ts'

export interface LedgerHost {
  readonly clock: Clock
  /** How long an answer may be late before those behind it are raced. */
  lateMillis(): number
  /** Is there another connection that could be faster? And may those behind be sent a second time? */
  mayRace(client: PeerClient): boolean
  /** `gathers`: a write on the connection is due at the end of this tick, and may take more until then. `hasSent`: it has gone out. */
  readonly moment: { gathers(client: PeerClient): void; hasSent(client: PeerClient): void }
  /** It is about to go out. Where nothing is under way, what a fleet has to say goes in front of the `first`. Returns the time, in a fleet. */
  sends(client: PeerClient, vitals: Vitals, first: PeerQuery | undefined): Reading | undefined
  /** A statement was not written when it should have been: none may share a connection any more. */
  deferred(): void
  /** `behindMillis`: since the answer before it. Infinity: there was none. `isTogether`: others shared the connection meanwhile. */
  answered(expected: Expected, tookMillis: number, behindMillis: number, isTogether: boolean): void
}
