/**
 * The slice of pg-pool that Thaw uses here: its public events and counts, and two private members, because it has no public way to close
 * idle connections. Read in pg-pool 3.6 to 3.14; Thaw's own pool and Neon's extend it.
 */

import { named, OptionError, type POOL_USES, type PoolUses } from '@thaw/core'

/** A client of the pool. */
export interface PeerClient {
  once(event: 'end', listener: () => void): unknown
  readonly connection?: { readonly stream: { destroy(): unknown } }
}

/** What `attachPool` takes: `pg.Pool`, Thaw's `Pool`, Neon's `Pool`, or whatever extends one of them. */
export interface AttachablePool {
  /** Missing in the types of older versions of `@types/pg`, not in the pool. */
  readonly options?: PoolOptions
  readonly totalCount: number
  readonly idleCount: number
  readonly waitingCount: number
}

interface PoolOptions {
  readonly idleTimeoutMillis?: number | null | undefined
}

/** The same pool, seen with its private members. */
export interface PeerPool extends AttachablePool {
  readonly options: PoolOptions
  on(event: 'connect' | 'acquire' | 'remove', listener: (client: PeerClient) => void): unknown
  on(event: 'release', listener: (error: unknown, client: PeerClient) => void): unknown
  readonly _clients: readonly PeerClient[]
  readonly _idle: readonly { readonly client: PeerClient }[]
  _remove(client: PeerClient): void
  [POOL_USES]?: PoolUses | undefined
}

/** @throws {OptionError} for something that is not a pool of pg-pool's. */
export function asPeerPool(pool: unknown): PeerPool {
  const peer = pool as Partial<PeerPool> | null | undefined
  if (typeof peer?.on === 'function' && peer.options && Array.isArray(peer._idle) && typeof peer._remove === 'function')
    return peer as PeerPool
  const kind = typeof pool === 'object' && pool?.constructor?.name
  throw new OptionError({
    option: 'pool',
    allowed: 'a pool of pg, @thaw/pg or @neondatabase/serverless',
    message: `attachPool() takes a pool, but received ${kind && kind !== 'Object' ? `an object of the class ${kind}` : named(pool)}. Write attachPool(new Pool({ … })), with the Pool of "@thaw/pg" or "pg".`,
  })
}
