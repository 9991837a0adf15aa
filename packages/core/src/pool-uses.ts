/** How a platform's package hears of each use of a Thaw pool. */

/** A listener for `acquire` might be the user's, and might use the client that it is told of: with one, no read shares a connection or carries a probe. A platform only wants to know. */
export interface PoolUses {
  /** A connection is open. */
  opened(client: object): void
  /** A caller has it. In the caller's async context. */
  acquired(client: object): void
  /** A read goes out on a connection that others have. In its caller's async context. */
  shared(): void
  /** It serves no caller, and is idle now or in a moment. */
  released(client: object): void
}

/** Where a Thaw pool has its listener. On a pool of another make there is no such property. */
export const POOL_USES: unique symbol = Symbol.for('thaw.pool.uses') as never
