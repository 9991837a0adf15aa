/** What pool queries need of their pool. */

import type { HealthChecks } from '../checkout/health-checks.ts'
import type { Hedging } from '../checkout/hedging.ts'
import type { Sharing } from '../checkout/sharing.ts'
import type { WaitQueue } from '../checkout/wait-queue.ts'
import type { Loss } from '../connection/lost-statement.ts'
import type { Memory } from '../connection/pool-context.ts'
import type { QueryWatch } from '../connection/unseen.ts'
import type { Driver } from '../driver/driver.ts'
import type { ConnectCallback } from '../driver/peer.ts'
import type { Settings } from '../options/options.ts'
import type { Wish } from './call.ts'

export interface PoolQueryHost {
  readonly driver: Pick<Driver, 'DatabaseError' | 'Query'>
  readonly settings: Settings
  readonly memory: Memory
  readonly checks: HealthChecks
  isEnding(): boolean
  readonly hedging: Hedging
  /** Undefined: connections are not shared. */
  readonly sharing: Sharing | undefined
  /** Those who wait for a connection. */
  readonly waiting: Pick<WaitQueue, 'length' | 'limitMillis' | 'timeUp'>
  readonly queryWatch: QueryWatch
  /** Does a tracing tool watch what the pool does, or is code of the user's called on the way? Then it matters in whose async context it is done. */
  isObserved(): boolean
  /** Returns the function that withdraws the request; a connection that arrives anyway is released. */
  connect(callback: ConnectCallback, wish: Wish): () => void
  /** Hands out a connection that needs no probe, at once. False: there is none, or another caller waits already. `join` comes first: it may do without one. */
  takeNow(callback: ConnectCallback, join: (() => boolean) | undefined): boolean
  /** A statement is about to be sent again. */
  repeating(error: Error, loss: Loss): void
}
