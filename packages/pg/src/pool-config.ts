/** The options of a pool: node-postgres' own, by their names, and ours. */

import type { ThawOptions } from '@thaw/pool'
import type { PoolConfig as PgPoolConfig } from 'pg'

/**
 * Every option of `pg.Pool`, and Thaw's. Defaults that differ from node-postgres:
 *
 * - `keepAlive` is on, after ten seconds of silence (`keepAliveInitialDelayMillis`); node-postgres has it off.
 * - `connectionTimeoutMillis` is 10 000 (node-postgres waits forever; 0 still means that).
 * - `max` and `idleTimeoutMillis` follow the platform: 10 and 10 000 on a server, 1 and 300 000 on Lambda, 5 and 5 000 on Vercel and on
 *   Workers.
 */
export type PoolConfig = PgPoolConfig & ThawOptions
