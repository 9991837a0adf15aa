/** The options of a pool, and of a client: node-postgres' own, by their names, and ours. */

import type { ThawOptions } from '@thaw/pool'
import type { ClientConfig as PgClientConfig, PoolConfig as PgPoolConfig } from 'pg'

/** What node-postgres passes to a password function. Its types do not say so. */
export interface PasswordRequest {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
}

/** A rest parameter, so that these options still fit where node-postgres' own are expected, whose function has no parameter. */
type WithPassword<Config> = Omit<Config, 'password'> & {
  /** Or a function that returns it, called for each connection attempt. Default: PGPASSWORD, or what the file PGPASSFILE says. */
  password?: string | ((...about: PasswordRequest[]) => string | Promise<string>) | undefined
}

/**
 * Every option of `pg.Pool`, and Thaw's. Defaults that differ from node-postgres:
 *
 * - `keepAlive` is on, after ten seconds of silence (`keepAliveInitialDelayMillis`); node-postgres has it off.
 * - `connectionTimeoutMillis` is 10 000 (node-postgres waits forever; 0 still means that).
 * - `max` and `idleTimeoutMillis` follow the platform: 10 and 10 000 on a server, 1 and 300 000 on Lambda, 5 and 5 000 on Vercel and on
 *   Workers.
 */
export type PoolConfig = WithPassword<PgPoolConfig> & ThawOptions

/**
 * Every option of `pg.Client`, those for several hosts, and those of the probe in front of a statement: `trustMillis` (default 500) and
 * `probeTimeoutMillis` (default 1000; the reply is waited for ten times as long).
 */
export type ClientConfig = WithPassword<PgClientConfig> &
  Pick<ThawOptions, 'target_session_attrs' | 'load_balance_hosts' | 'trustMillis' | 'probeTimeoutMillis'>
