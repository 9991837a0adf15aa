/**
 * The pool with a door, over any driver that is made of pg's code. Private: `@thaw/pg` and `@thaw/neon` have it in their bundles.
 *
 * @module
 */

export type { QueryResult } from 'pg'

export { illegalMoves } from './connection-state.ts'
export { address, connectError, mayBeMistaken, type Target } from './dial-failure.ts'

export type { CancelConnection, Driver } from './driver.ts'
export { bound, checkSignal, interruptedBefore, isInterruption } from './interruption.ts'
export { watchAlone } from './lone-client.ts'
export { errorOfLoss } from './lost-statement.ts'
export { nextTick } from './next-tick.ts'
export type { ConnectOptions, EndOptions, QueryOptions, ThawOptions } from './options.ts'
export { markLost, type PeerClient, type PeerConnection, type PeerPool, type PeerStream, saysLost } from './peer.ts'
export type { ThawPool } from './pool.ts'
export { type Callback, promisify } from './promisify.ts'
export { runtimePoolOver } from './runtime-pool.ts'
export type { SourceFunction } from './source.ts'
export type { PoolStats } from './stats.ts'
export { preferP256, TLS_GROUPS, tlsGroups } from './tls.ts'
export type { Waiter } from './waiting-room.ts'
export { watchedClient } from './watched-client.ts'
