/** The default export, as pg has one: an object, and under the same name its types, so that `pg.Pool` and `pg.QueryResult` are types too. */

import type * as stock from 'pg'
import pg from 'pg'
import { Client } from './client.ts'
import type { DropInClient, DropInPool, PoolConstructor } from './drop-in-pool.ts'
import { native } from './native.ts'
import { Pool } from './pool.ts'
import type { ClientConfig, PoolConfig } from './pool-config.ts'

/** What `import pg from 'pg'` gives, with Thaw's Pool and Client in their places. */
export type ThawPg = Omit<typeof pg, 'Pool' | 'Client' | 'native'> & {
  readonly Pool: PoolConstructor
  readonly Client: typeof Client
  readonly native: typeof native
}

/** pg's default export, with ours in it. */
export const thawPg: ThawPg = Object.defineProperties(
  {},
  {
    ...Object.getOwnPropertyDescriptors(pg),
    Pool: { value: Pool, enumerable: true },
    Client: { value: Client, enumerable: true },
    // Not enumerable, as in pg.
    native: { value: native, enumerable: false },
  },
) as ThawPg

/** Rows and values, as the driver types them where nothing is said. */
type Row = stock.QueryResult['rows'][number]
type List = stock.QueryArrayResult['rows'][number]
/** Older `@types/pg` do not know every class. */
type InstanceOf<Name extends string> = Name extends keyof typeof pg
  ? (typeof pg)[Name] extends abstract new (
      ...args: never[]
    ) => infer Instance
    ? Instance
    : unknown
  : unknown

/** Names that the namespace has not: there each would be its own. */
type OwnClient = Client
type OwnClientConfig = ClientConfig
type OwnPoolConfig = PoolConfig

/** In one list, as in `@types/pg`: a namespace cannot take over another's types. */
export declare namespace thawPg {
  type Pool = DropInPool
  type PoolClient = DropInClient
  type PoolConfig = OwnPoolConfig
  type Client = OwnClient
  type ClientConfig = OwnClientConfig

  type BindConfig = stock.BindConfig
  type ClientBase = stock.ClientBase
  type Connection = stock.Connection
  type ConnectionConfig = stock.ConnectionConfig
  type CustomTypesConfig = stock.CustomTypesConfig
  type DatabaseError = stock.DatabaseError
  type Defaults = stock.Defaults
  type Events = stock.Events
  type ExecuteConfig = stock.ExecuteConfig
  type FieldDef = stock.FieldDef
  type MessageConfig = stock.MessageConfig
  type Notification = stock.Notification
  type PoolOptions = DropInPool extends { readonly options: infer Options } ? Options : unknown
  type Query<Of extends stock.QueryResultRow = Row, Values extends List = List> = stock.Query<Of, Values>
  type QueryArrayConfig<Values extends List = List> = stock.QueryArrayConfig<Values>
  type QueryArrayResult<Of extends List = List> = stock.QueryArrayResult<Of>
  type QueryConfig<Values extends List = List> = stock.QueryConfig<Values>
  type QueryConfigValues<Values> = Values extends List ? Values : never
  type QueryParse = stock.QueryParse
  type QueryResult<Of extends stock.QueryResultRow = Row> = stock.QueryResult<Of>
  type QueryResultBase = stock.QueryResultBase
  type QueryResultRow = stock.QueryResultRow
  type Result = InstanceOf<'Result'>
  type ResultBuilder<Of extends stock.QueryResultRow = Row> = stock.ResultBuilder<Of>
  type Submittable = stock.Submittable
  type TypeOverrides = InstanceOf<'TypeOverrides'>
}
