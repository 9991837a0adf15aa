/** A pool that was not told where the database is: pg connects to its defaults. Right for some, but usually an unset variable. */

import { type Environment, environment } from '@thaw/core'
import { misplacedUrl } from '../options/whereabouts.ts'

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
export function adviceWhereNothingWasGiven(options: Whereabouts, env: Environment = environment()): string | undefined {
  const { connectionString, host, stream } = options
  if (connectionString || host || stream || env['PGHOST']) return undefined
  const misplaced = misplacedUrl(options)
  if (misplaced !== undefined)
    return `There was no connection string, no host and no PGHOST, so this is the driver's default. The option "${misplaced}" is not one of the driver's: write it as new Pool({ connectionString: … }).`
  const found = env['DATABASE_URL']
    ? 'DATABASE_URL is set in this process: pass it on, as'
    : 'DATABASE_URL is not set in this process: set it, and pass it on, as'
  return `There was no connection string, no host and no PGHOST, so this is the driver's default. ${found} new Pool({ connectionString: process.env.DATABASE_URL }).`
}
