/**
 * pg's own Query with `rows` fetches in portions. It sends its Sync behind the last one, and none if it fails before: the server would skip whatever comes next, and never be
 * ready again.
 */

import type { PeerConnection, PeerQuery } from '../driver/peer.ts'

/** The statement on the connection that has sent no Sync. Undefined: there is none. */
export interface Portions {
  unsynced: PeerQuery | undefined
}

/** It has failed, and what ends it is sent in its place. */
export function syncFailed(record: Portions, query: PeerQuery | undefined, connection: PeerConnection): void {
  const isUnsynced = query !== undefined && record.unsynced === query
  record.unsynced = undefined
  if (isUnsynced) (connection as PeerConnection & { sync(): void }).sync()
}
