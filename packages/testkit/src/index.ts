/**
 * Real faults for tests: a real PostgreSQL, a proxy that cuts its connections, a process that freezes, clocks that stop.
 *
 * @module
 */

export type { Ambush, ErrorResponse, LoseAnswerOptions, LoseRequestOptions } from './ambush.ts'
export type { UncaughtOrigin } from './call-wire.ts'
export type { ProcessEnd } from './child-life.ts'
export { buildClockShim, type ClockShim, type ClockShimOptions } from './clock-shim.ts'
export { createFakeClock, type FakeClock, type FakeClockOptions, type FreezeOptions, type StoppedClocks } from './fake-clock.ts'
export type { CutKind, FaultKind, ServerSide, SuddenCut } from './fault-kinds.ts'
export { type CutOptions, type Delay, type FaultProxy, type FaultProxyOptions, startFaultProxy } from './fault-proxy.ts'
export { type FlakyDns, type FlakyDnsOptions, failDns } from './flaky-dns.ts'
export type { Flow, FlowChunk, FlowCutOptions, FlowState } from './flow.ts'
export { type FreezableOptions, type FreezableProcess, spawnFreezable, type UncaughtError } from './freezable-process.ts'
export { freezePid, thawPid } from './freezer.ts'
export { type InvokeOptions, type Lambda, type LambdaOptions, startLambda } from './lambda.ts'
export { LambdaError } from './lambda-answer.ts'
export type { LambdaShutdown } from './lambda-environment.ts'
export {
  type Neon,
  type NeonAnswerOptions,
  type NeonCounters,
  type NeonDriverConfig,
  type NeonOptions,
  type NeonSuspendOptions,
  startNeon,
} from './neon.ts'
export { type PgBouncer, type PgBouncerOptions, startPgBouncer } from './pgbouncer.ts'
export { type Pooler, type PoolerOptions, startPooler } from './pooler.ts'
export { type AdminResult, type PostgresOptions, type PostgresServer, type StandbyServer, startPostgres } from './postgres.ts'
export type { PostgresBinaries } from './postgres-binaries.ts'
export type { StopMode } from './postmaster.ts'
export {
  createScriptedServer,
  type ScriptedAnswer,
  type ScriptedColumn,
  type ScriptedConnection,
  type ScriptedFault,
  type ScriptedServer,
  type ScriptedServerOptions,
} from './scripted-server.ts'
export { createSeededRandom } from './seeded-random.ts'
export { type Handlers, type ServeOptions, serve } from './serve.ts'
export { type Session, sessionsOf, terminateSessions, waitForSessions } from './sessions.ts'
export { createStoppableClock, type StoppableClock } from './stoppable-clock.ts'
export type { FaultCounters, Traffic } from './traffic.ts'
export {
  type DeliveredRequest,
  startVercel,
  type VercelInstance,
  type VercelOptions,
  type VercelRequest,
  type VercelResponse,
} from './vercel.ts'
