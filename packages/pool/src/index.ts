/**
 * The pool with the health check at acquire, over any driver built on pg's code. Private: `@thaw/pg` and `@thaw/neon` have it in their
 * bundles.
 *
 * @module
 */

export type { QueryResult } from 'pg'
export { connectAlone, optionsAlone, tell } from './connect/connect-alone.ts'
export { connectError, mayBeMistaken } from './connect/dial-failure.ts'
export { illegalMoves } from './connection/connection-state.ts'
export { bound, checkSignal, interruptedBefore, isInterruption } from './connection/interruption.ts'
export { errorOfLoss } from './connection/lost-statement.ts'
export { isMadeByPool } from './connection/made-by-pool.ts'
export { preferP256, TLS_GROUPS, tlsGroups } from './connection/tls.ts'
export { watchedClient } from './connection/watched-client.ts'
export type { CancelConnection, Driver } from './driver/driver.ts'
export { address, type Target } from './driver/endpoints.ts'
export { behindProxies } from './driver/itself.ts'
export { nextTick } from './driver/next-tick.ts'
export { markLost, type PeerClient, type PeerConnection, type PeerPool, type PeerStream, saysLost } from './driver/peer.ts'
export { answerBy, type Callback, failLater, promisify } from './driver/promisify.ts'
export { isStock } from './driver/stock.ts'
export type { Waiter } from './driver/waiter.ts'
export type { Connects, Ends, Observed } from './drop-in.ts'
export { watchAlone } from './lone-client.ts'
export type { ConnectOptions, EndOptions, QueryOptions, ThawOptions } from './options/options.ts'
export { checkNames } from './options/query-config.ts'
export type { ThawPool } from './pool.ts'
export { runtimePoolOver } from './scope/runtime-pool.ts'
export type { SourceFunction } from './scope/source.ts'
export type { PoolStats } from './stats.ts'
export { RequestBatches } from './transaction/batch-by-request.ts'
export { wantsOnce } from './transaction/exactly-once.ts'
export { KEPT } from './transaction/kept-result.ts'
export { type BatchOptions, misplacedOptions, type TransactionOptions } from './transaction/rules.ts'
export type { BatchStatement, OnceOptions, Repeated, TransactionOf, Transactions } from './transaction/types.ts'
