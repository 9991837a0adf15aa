/** A pool that was not told where the database is: pg connects to its defaults. Right for some, but usually an unset variable. */

import { type Environment, environment } from '@thaw/core'

/** Of pg's options, those that say where the database is. */
export interface Whereabouts {
  readonly connectionString?: unknown
  readonly host?: unknown
  /** The user's own socket may lead anywhere. */
  readonly stream?: unknown
}

/**
 * What to say in place of other advice when such an attempt has failed. Names variables, but nothing of their values. Undefined: the pool
 * was told where to connect.
 */
export function adviceWhereNothingWasGiven(
  { connectionString, host, stream }: Whereabouts,
  env: Environment = environment(),
): string | undefined {
  if (connectionString || host || stream || env['PGHOST']) return undefined
  const found = env['DATABASE_URL']
    ? 'DATABASE_URL is set in this process: pass it on, as'
    : 'DATABASE_URL is not set in this process: set it, and pass it on, as'
  return `There was no connection string, no host and no PGHOST, so this is the driver's default. ${found} new Pool({ connectionString: process.env.DATABASE_URL }).`
}
