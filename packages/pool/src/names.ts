/** What every driver's package exports besides the driver's own names, in every runtime: the errors, and the types of the pool. */

export {
  AcquireTimeoutError,
  CommitRolledBackError,
  ConnectError,
  ConnectionLostError,
  DeadlineError,
  type FleetOptions,
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
} from '@thaw/core'
export type { ConnectOptions, EndOptions, QueryOptions, ThawOptions } from './options/options.ts'
export type { FleetStats, PoolStats } from './stats.ts'
