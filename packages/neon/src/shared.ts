/** What @thaw/neon exports besides the pool: everything of the driver's, the client, neon() and the errors. */

export * from '@neondatabase/serverless'
export * from '@thaw/pool/names'
export { Client } from './client.ts'
export type {
  DropInClient,
  DropInClient as PoolClient,
  DropInPool,
  PoolConfig,
  PoolConstructor,
  QueryWithOptions,
  Source,
} from './drop-in-pool.ts'
export { type DropInQueryFunction, type HttpOptions, type HttpQueryOptions, neon } from './neon.ts'
