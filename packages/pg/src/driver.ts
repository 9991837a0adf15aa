/** node-postgres, as the pool sees it. */

import { OptionError } from '@thaw/core'
import type { CancelConnection, Driver, PeerClient } from '@thaw/pool'
import pg from 'pg'

/** Without our own Client, which needs it. */
export const driver: Omit<Driver, 'PoolClient'> = {
  Pool: pg.Pool as unknown as Driver['Pool'],
  Client: pg.Client as unknown as Driver['Client'],
  Query: pg.Query,
  DatabaseError: pg.DatabaseError,
  choosesHost: true,
  connectionFor,
  goesWhereTold,
  checkClient: refuseNativeClient,
}

const Connection = pg.Connection as unknown as new (config: object) => CancelConnection

function connectionFor({ connection: { ssl, sslNegotiation } }: PeerClient, stream: unknown): CancelConnection | undefined {
  // A stream that is not a factory is the client's own: there is no second one.
  return stream === undefined || typeof stream === 'function' ? new Connection({ stream, ssl, sslNegotiation }) : undefined
}

/** A stream that connects as pg's own does. A tunnel or a connector has its own `connect`. */
function goesWhereTold(stream: object): boolean {
  const { connect } = new Connection({}).stream as { connect?: unknown }
  return (stream as { connect?: unknown }).connect === connect
}

/** libpq owns its socket: nothing can be watched, polled or probed there. */
function refuseNativeClient(Client: { readonly name: string; readonly prototype?: object }): void {
  if (process.env['NODE_PG_FORCE_NATIVE'] === undefined && !(Client.prototype && 'isConnected' in Client.prototype)) return
  throw new OptionError({
    option: 'Client',
    allowed: 'pg.Client or a class that extends it',
    message: '@thaw/pg does not work with pg-native. Remove NODE_PG_FORCE_NATIVE, and use the Client of "pg" instead of "pg".native.',
  })
}
