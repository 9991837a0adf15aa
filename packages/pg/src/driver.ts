/** node-postgres, as the pool sees it. */

import { OptionError } from '@thaw/core'
import type { CancelConnection, Driver } from '@thaw/pool'
import pg from 'pg'

export const driver: Driver = {
  Pool: pg.Pool as unknown as Driver['Pool'],
  Client: pg.Client as unknown as Driver['Client'],
  Query: pg.Query,
  DatabaseError: pg.DatabaseError,
  connectionFor: ({ connection: { ssl } }) => new (pg.Connection as unknown as new (config: object) => CancelConnection)({ ssl }),
  checkClient: refuseNativeClient,
}

/** libpq keeps its socket to itself: nothing can be watched, swept or probed there. */
function refuseNativeClient(Client: { readonly name: string; readonly prototype?: object }): void {
  if (process.env['NODE_PG_FORCE_NATIVE'] === undefined && !(Client.prototype && 'isConnected' in Client.prototype)) return
  throw new OptionError({
    option: 'Client',
    allowed: 'pg.Client or a class that extends it',
    message: '@thaw/pg does not work with pg-native. Remove NODE_PG_FORCE_NATIVE, and use the Client of "pg" instead of "pg".native.',
  })
}
