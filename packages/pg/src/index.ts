/**
 * node-postgres for serverless. `import { Pool } from '@thaw/pg'` where you wrote `from 'pg'`: everything else that `pg`
 * exports is exported here too.
 *
 * @module
 */

import { OptionError } from '@thaw/core'
import pg from 'pg'
import { Client } from './client.ts'
import { Pool } from './drop-in-pool.ts'

export {
  AcquireTimeoutError,
  CommitRolledBackError,
  ConnectError,
  ConnectionLostError,
  DeadlineError,
  OptionError,
  type Outcome,
  OutcomeUnknownError,
  ReplicationUnconfirmedError,
  ThawError,
  type ThawEvent,
  type ThawListener,
  TransactionOpenError,
} from '@thaw/core'
export type { ConnectOptions, EndOptions, PoolStats, QueryOptions, ThawOptions } from '@thaw/pool'
export type * from 'pg'
export { Client } from './client.ts'
export { type DropInClient, type DropInPool, Pool, type PoolConstructor, type QueryWithOptions } from './drop-in-pool.ts'
export type { PoolConfig } from './pool-config.ts'

/** The type of what pg exports by that name. Older `@types/pg` do not know every name. */
type Exported<Name extends string> = Name extends keyof typeof pg ? (typeof pg)[Name] : unknown

/** node-postgres' own, the same objects. */
export const Connection: typeof pg.Connection = pg.Connection
export const DatabaseError: typeof pg.DatabaseError = pg.DatabaseError
export const defaults: typeof pg.defaults = pg.defaults
export const escapeIdentifier: typeof pg.escapeIdentifier = pg.escapeIdentifier
export const escapeLiteral: typeof pg.escapeLiteral = pg.escapeLiteral
export const Query: typeof pg.Query = pg.Query
export const Result: Exported<'Result'> = pg.Result
export const TypeOverrides: Exported<'TypeOverrides'> = pg.TypeOverrides
export const types: typeof pg.types = pg.types

/**
 * Not there: pg-native's socket cannot be watched. Touching it throws, so that nobody runs on it, or without it, unawares.
 *
 * @throws {OptionError} on any use.
 */
export const native: never = new Proxy({}, { get: refuseNative }) as never

/** What `import pg from 'pg'` gives, with Thaw's Pool and Client in their places. */
export type ThawPg = Omit<typeof pg, 'Pool' | 'Client' | 'native'> & { readonly Pool: typeof Pool; readonly Client: typeof Client }

const thawPg = Object.defineProperties({}, { ...Object.getOwnPropertyDescriptors(pg), ...ours() }) as ThawPg
export default thawPg

function ours(): PropertyDescriptorMap {
  return {
    Pool: { value: Pool, enumerable: true },
    Client: { value: Client, enumerable: true },
    // Not enumerable, as in pg: a spread of this object must not throw.
    native: { get: refuseNative, enumerable: false },
  }
}

function refuseNative(): never {
  throw new OptionError({
    option: 'native',
    allowed: 'the JavaScript client',
    message: '@thaw/pg does not work with pg-native, whose socket cannot be watched. Use Pool and Client of "@thaw/pg" itself.',
  })
}
