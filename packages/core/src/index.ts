/**
 * The rules behind Thaw, for people who write a driver or a platform adapter. Applications use `@thaw/pg` and never this.
 *
 * @module
 */

export { backoffMillis } from './backoff.ts'
export { isFake } from './behind-fakes.ts'
export { controlsTransaction, mayEndTransaction } from './by-hand.ts'
export { classify, codeOf, FAILURES, type FailureRow } from './classify.ts'
export { type Clock, elapsedMillis, type Reading, read, runtimeTime, systemClock, type Timer } from './clock.ts'
export {
  type CommitEvidence,
  type CommitReason,
  type CommitVerdict,
  hasReplaced,
  type Incarnation,
  isSameIncarnation,
  isSamePostmaster,
  judgeCommit,
  type XactStatus,
} from './commit-outcome.ts'
export { copiesOut } from './copy-out.ts'
export { chargedSince, type Deadline, LOOK_MILLIS, startAbsoluteDeadline, startDeadline } from './deadline.ts'
export {
  type AcquireStage,
  AcquireTimeoutError,
  type AnyThawError,
  CommitRolledBackError,
  ConnectError,
  ConnectionLostError,
  type ConnectStage,
  DeadlineError,
  type ErrorKind,
  IdempotencyKeyError,
  OptionError,
  OutcomeUnknownError,
  ReplicationUnconfirmedError,
  ScopeError,
  ThawError,
  TransactionOpenError,
  TransactionUseError,
  type UnknownEvidence,
  type UnknownReason,
  type WireFacts,
} from './errors.ts'
export {
  type Broadcast,
  createEvents,
  EVENT_TYPES,
  type EventCounts,
  type Events,
  type StaleReason,
  type ThawEvent,
  type ThawListener,
} from './events.ts'
export { fingerprintOf } from './fingerprint.ts'
export {
  type Census,
  checkFleet,
  FLEET_LEASE_MILLIS,
  FLEET_TRUST_MILLIS,
  type Fleet,
  type FleetNames,
  type FleetOptions,
  type FleetTrouble,
  FULL_SHARE,
  fleetNames,
  fleetSuffixes,
  inventsProcessIds,
  isCrowded,
  isEviction,
  LATE_ANSWER_MILLIS,
  LONG_SLEEP_MILLIS,
  poolerAt,
  ROOMY_SHARE,
  readFleetName,
  SLEEP_MILLIS,
  TIGHT_SLEEP_MILLIS,
  TURN_MILLIS,
  troubleOf,
  turnMillis,
  wasSentInTime,
} from './fleet.ts'
export { type FreezeEvidence, type FreezeHints, LATE_MILLIS, weighFreeze } from './freeze.ts'
export { type EvictReason, type GateRules, type GateVerdict, type IdleConnection, judge } from './gate.ts'
export { GRAMMAR_WORDS, HARMLESS_FUNCTIONS, HARMLESS_OPERATORS } from './harmless.ts'
export {
  earnHedge,
  FREE_HEDGE_MILLIS,
  HEDGE_BUDGET,
  type HedgeBudget,
  hedgeDelayMillis,
  spendHedge,
} from './hedge.ts'
export {
  bindInvocation,
  currentInvocation,
  enterInvocation,
  hasInvocations,
  type Invocation,
  type InvocationStorage,
  isColdStart,
  type Leak,
  type PoolOrigin,
  resumeInvocation,
  runInvocation,
  type Scope,
  type TrackedPool,
  trackedPoolOf,
  trackedPools,
  trackPool,
  watchPools,
} from './invocation.ts'
export { columnsOfRow, type RowSource, rowSourceOf } from './kept-rows.ts'
export { judgeKey, type KeyedStep, type KeyRow } from './keyed-outcome.ts'
export { type Line, type LineLogger, logTo, narrate } from './narrate.ts'
export { checkOptions, named, type OptionRule, type OptionRules } from './options.ts'
export {
  hingesOnDirectness,
  judgeLoss,
  type LossEvidence,
  type LostStatement,
  type Outcome,
  type OutcomeReason,
  type OutcomeVerdict,
} from './outcome.ts'
export { outlineOf } from './outline.ts'
export { createPaces, type Pace, type Paces } from './pace.ts'
export { numberPlaceholders } from './placeholders.ts'
export { type Environment, environment, type Platform, type PlatformDefaults, platformDefaults } from './platform.ts'
export { pollSockets } from './poll-sockets.ts'
export { POOL_USES, type PoolUses } from './pool-uses.ts'
export { endWithAnswer, type Handled, openRequest, type RequestInvocation, type RequestParts } from './request.ts'
export { causesOf, mayRerun, type RerunFacts, type RerunReason, rerunReason } from './rerun.ts'
export { judgeResend, type Resend, type ResendFacts } from './resend.ts'
export { BUDGET_TOKENS, earn, type RetryBudget, spend } from './retry-budget.ts'
export { growth, type InUseCounts, type Jam, nextDial, type PoolCounts, roomLeft, waitsForItself } from './room.ts'
export { learnRoundTrip, type RoundTrip } from './round-trip.ts'
export { currentScope, openScope } from './scope.ts'
export { type ServerRefusal, serverRefusalOf } from './server-refusal.ts'
export { mayEndSession, saysError } from './severity.ts'
export { choosePlace, type Place, type PlaceFacts } from './share.ts'
export { foundStandby, mayLookUpAgain, type StandbyFound } from './standby.ts'
export { classifyStatement, mayLeaveSessionState, type Statement } from './statement.ts'
export { createStatementCache, type StatementCache } from './statement-cache.ts'
export { isThenable } from './thenable.ts'
export {
  beginInvocation,
  createInvocation,
  createLeakReport,
  endInvocation,
  type InvocationParts,
  type OpenInvocation,
  preserveHandler,
  type Serving,
  serveInvocation,
} from './wrapper.ts'
