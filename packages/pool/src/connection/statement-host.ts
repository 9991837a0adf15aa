import type { Clock, Reading, StatementCache } from '@thaw/core'
import type { PeerClient } from '../driver/peer.ts'
import type { Loss } from './lost-statement.ts'
import type { ScramKeys } from './scram-keys.ts'
import type { Vitals } from './vitals.ts'

/** What a watched client needs of its owner: a pool's health checks, or itself alone. */
export interface StatementHost {
  readonly clock: Clock
  readonly probeTimeoutMillis: number
  readonly classify: StatementCache
  /** What a login computes, and may keep. */
  readonly scramKeys?: ScramKeys | undefined
  /** Is PostgreSQL itself at the other end, as far as is known? */
  readonly isDirect: boolean
  /** It belongs to no pool of ours. */
  readonly isAlone?: boolean
  /** Something is read, or about to be sent. Has the process stood still? */
  noteStandstill?(now: Reading): void
  /** Must the connection prove itself before the next statement? */
  mustProve(client: PeerClient): boolean
  /** A statement is about to be sent on an idle connection, by a former caller. */
  strayed(client: PeerClient): void
  /** Asks the server to stop working on the client's statement. */
  requestCancel(client: PeerClient): void
  /** In a fleet: a statement is about to be sent, and what has to be in front of it is written now. */
  readonly submitting?: ((client: PeerClient, vitals: Vitals) => void) | undefined
  /** In a fleet: a statement is about to be sent. If it is by a listener of `connect`, what to call with it. */
  readonly ofListener?: ((client: PeerClient) => ((query: object) => void) | undefined) | undefined
  /** The server has ended the connection, with a reason. */
  ended(client: PeerClient, error: Error): void
  /** A statement of the client's caller was lost, and the caller was told. */
  reported(loss: Loss): void
}
