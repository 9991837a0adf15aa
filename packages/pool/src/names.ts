/** What every driver's package exports besides the driver's own names, in every runtime: the errors, and the types of the pool. */

export {
  AcquireTimeoutError,
  type AnyThawError,
  CommitRolledBackError,
  ConnectError,
  ConnectionLostError,
  DeadlineError,
  type FleetOptions,
  IdempotencyKeyError,
  type LineLogger,
  logTo,
  OptionError,
  type Outcome,
  OutcomeUnknownError,
  ReplicationUnconfirmedError,
  ScopeError,
  ThawError,
  type ThawEvent,
  type ThawListener,
  TransactionOpenError,
  TransactionUseError,
} from '@thaw/core'
export type { ConnectOptions, EndOptions, QueryOptions, ThawOptions } from './options/options.ts'
export type { FleetStats, PoolStats } from './stats.ts'
export { IDEMPOTENCY_SQL } from './transaction/key-table.ts'
export type { BatchOptions, TransactionOptions } from './transaction/rules.ts'
export type { BatchStatement, OnceOptions, Repeated, TransactionOf, Transactions } from './transaction/types.ts'
