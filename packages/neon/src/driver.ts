/** Neon's driver, as the pool sees it. */

import { DatabaseError, Client as StockClient, Pool as StockPool } from '@neondatabase/serverless'
import type { CancelConnection, Driver, PeerClient } from '@thaw/pool'
import { NeonClient } from './neon-client.ts'
import type { PeerSocket } from './peer.ts'
import { Socket } from './socket.ts'

/** Neon's, with clients on our socket. Like Neon's, it takes no other client class through its options. */
class Pool extends StockPool {
  override Client: typeof StockClient = NeonClient as unknown as typeof StockClient
}

/** Without our own Client, which needs it. */
export const driver: Omit<Driver, 'PoolClient'> = {
  Pool: Pool as unknown as Driver['Pool'],
  Client: NeonClient as unknown as Driver['Client'],
  Query: (StockClient as unknown as { Query: Driver['Query'] }).Query,
  DatabaseError,
  connectionFor,
  // A WebSocket reports no address.
  goesWhereTold: () => false,
  checkClient() {},
}

function connectionFor({ connection }: PeerClient): CancelConnection | undefined {
  // The user's own stream: we cannot make a second one.
  if (!((connection.stream as unknown) instanceof Socket)) return undefined
  const stream = new Socket()
  stream.opts = { ...(connection.stream as unknown as PeerSocket).opts }
  const Connection = connection.constructor as new (config: object) => CancelConnection
  return new Connection({ ssl: connection.ssl, stream })
}
