/** What @thaw/pg exports besides the pool: everything of pg's, and the errors. */

import pg from 'pg'

export * from '@thaw/pool/names'
export type * from 'pg'
export { Client } from './client.ts'
export type { DropInClient, DropInClient as PoolClient, DropInPool, PoolConstructor, QueryWithOptions } from './drop-in-pool.ts'
export { native } from './native.ts'
export type { ClientConfig, PasswordRequest, PoolConfig } from './pool-config.ts'

/** The type of pg's export of that name. Older `@types/pg` do not know every name. */
type Exported<Name extends string> = Name extends keyof typeof pg ? (typeof pg)[Name] : unknown

/** node-postgres' own, the same objects. */
export const Connection: typeof pg.Connection = pg.Connection
export const DatabaseError: typeof pg.DatabaseError = pg.DatabaseError
export const defaults: typeof pg.defaults = pg.defaults
export const escapeIdentifier: typeof pg.escapeIdentifier = pg.escapeIdentifier
export const escapeLiteral: typeof pg.escapeLiteral = pg.escapeLiteral
export const Query: typeof pg.Query = pg.Query
export const Result: Exported<'Result'> = pg.Result
export const TypeOverrides: Exported<'TypeOverrides'> = pg.TypeOverrides
export const types: typeof pg.types = pg.types
/** Of pg's CommonJS, where older code finds `prepareValue`. */
export const utils: Exported<'utils'> = (pg as { readonly utils?: unknown }).utils
