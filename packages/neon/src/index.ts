/**
 * Neon's serverless driver for processes that are frozen. `import { neon, Pool } from '@thaw/neon'` where you wrote
 * `from '@neondatabase/serverless'`: everything else that it exports is exported here too.
 *
 * @module
 */

export * from '@neondatabase/serverless'
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
export { Client } from './client.ts'
export { type DropInClient, type DropInPool, Pool, type PoolConfig, type PoolConstructor, type QueryWithOptions } from './drop-in-pool.ts'
export { type DropInQueryFunction, type HttpOptions, type HttpQueryOptions, neon } from './neon.ts'
