/**
 * A pool for db0, which Nitro and Nuxt use: `createDatabase(db0Connector(pool))`.
 *
 * @module
 */

import { numberPlaceholders } from '@thaw/core'

/** What of a pool is used: `Pool` of `@thaw/pg` and of `@thaw/neon` fit. */
export interface Db0Pool {
  query(text: string, values?: unknown[]): Promise<{ readonly rows: unknown[] }>
  end(): Promise<void>
}

/** A value for a `?`, as db0 has them. */
export type Db0Value = string | number | boolean | undefined | null

/** A statement with its values. */
export interface Db0PreparedStatement {
  bind(...values: Db0Value[]): Db0PreparedStatement
  /** All rows. */
  all(): Promise<unknown[]>
  /** What node-postgres returns, and `success: true`. */
  run(): Promise<{ success: boolean }>
  /** The first row. `undefined` if there is none. */
  get(): Promise<unknown>
}

/** A statement that is given its values when it is run. */
export interface Db0Statement {
  bind(...values: Db0Value[]): Db0PreparedStatement
  all(...values: Db0Value[]): Promise<unknown[]>
  run(...values: Db0Value[]): Promise<{ success: boolean }>
  get(...values: Db0Value[]): Promise<unknown>
}

/** What db0 calls a driver. */
export interface Db0Connector<P extends Db0Pool> {
  readonly name: 'postgresql'
  readonly dialect: 'postgresql'
  /** The pool itself. */
  getInstance(): P
  exec(text: string): Promise<{ readonly rows: unknown[] }>
  prepare(text: string): Db0Statement
  /** Ends the pool. */
  dispose(): Promise<void>
}

/**
 * Makes a connector of a pool: `createDatabase(db0Connector(pool))`. Where db0's own connector `postgresql` has one connection for ever, each statement
 * acquires one here. So a transaction needs a client of the pool: `const client = await (await db.getInstance()).connect()`.
 *
 * A `?` outside of constants and comments becomes `$1`, `$2`, …, unless the text has numbers of its own. `db.dispose()` ends the pool.
 */
export function db0Connector<P extends Db0Pool>(pool: P): Db0Connector<P> {
  return {
    name: 'postgresql',
    dialect: 'postgresql',
    getInstance: () => pool,
    exec: (text) => pool.query(numberPlaceholders(text)),
    prepare: (text) => statementOn(pool, numberPlaceholders(text)),
    dispose: () => pool.end(),
  }
}

function statementOn(pool: Db0Pool, text: string): Db0Statement {
  return {
    bind: (...values) => bound(pool, text, values),
    all: (...values) => bound(pool, text, values).all(),
    run: (...values) => bound(pool, text, values).run(),
    get: (...values) => bound(pool, text, values).get(),
  }
}

function bound(pool: Db0Pool, text: string, values: Db0Value[]): Db0PreparedStatement {
  // A copy each time, so that a driver that changes the array changes its own.
  const send = () => pool.query(text, [...values])
  return {
    bind: (...others) => bound(pool, text, others),
    all: async () => (await send()).rows,
    run: async () => ({ success: true, ...(await send()) }),
    get: async () => (await send()).rows[0],
  }
}
