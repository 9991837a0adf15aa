/**
 * A write was refused as read-only, in what has been rolled back. By a standby, where the primary used to be? Then nothing of it is stored, and it can be run again on another connection.
 */

import { rerunReason } from '@thaw/core'
import type { PeerClient } from '../driver/peer.ts'

/** What is known of the servers behind the pool. */
export interface RoleWatch {
  /** Asks the server. If it is a standby, every connection of the pool is given up. */
  isStandby(client: PeerClient): Promise<boolean>
  /** What a standby refused has been stored elsewhere. */
  forget(): void
}

/** To be asked before the client is released. Costs a round trip, if the error is of that kind. */
export async function isRefusedByStandby(roles: RoleWatch, client: PeerClient, error: unknown): Promise<boolean> {
  return rerunReason(error) === 'read-only' && roles.isStandby(client)
}
