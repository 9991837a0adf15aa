/** A pool to which nobody said where the database is: pg dials its defaults. Right for some, and for most a variable that is not set. */

import type { Environment } from '@thaw/core'

/** Of pg's options, those that say where the database is. */
export interface Whereabouts {
  readonly connectionString?: unknown
  readonly host?: unknown
  /** A socket of the user's own may lead anywhere. */
  readonly stream?: unknown
}

/** What to say in place of other advice, when such a dial has failed. Names variables, and nothing of their values. Undefined: somebody has said where. */
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

function environment(): Environment {
  return (globalThis as { process?: { env?: Environment } }).process?.env ?? {}
}
