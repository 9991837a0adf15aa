/**
 * What a client has of pg's protocol. One of a class that the user made need not have any: a mock, an in-memory database. It cannot be watched or probed, and is handed
 * out as pg-pool does.
 */

import type { PeerClient, PeerConnection, PeerStream } from './peer.ts'

/** Undefined: there is none, or it is called so and is something else. */
export function streamOf(client: { readonly connection?: { readonly stream?: unknown } | null } | undefined): PeerStream | undefined {
  const stream = client?.connection?.stream as Partial<PeerStream> | undefined
  return typeof stream?.write === 'function' && typeof stream.on === 'function' ? (stream as PeerStream) : undefined
}

export function connectionOf(client: PeerClient): PeerConnection | undefined {
  return streamOf(client) && client.connection
}
