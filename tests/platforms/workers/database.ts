/** Pools at module level, as an app has them: plain pg, and Thaw from each of its sources. */

import { env } from 'cloudflare:workers'
import { Pool } from '@thaw/pg'
import pg from 'pg'

/** What pools read of the bindings. */
export interface DatabaseEnv extends Cloudflare.Env {
  readonly DRIVER: 'pg' | 'thaw'
  readonly DATABASE_URL: string
  readonly HYPERDRIVE: Hyperdrive
}

let plain: pg.Pool | undefined

/** On Thaw the options are read in the first request; plain pg has to be told. */
const thaw: Pool = new Pool((env: DatabaseEnv) => env.DATABASE_URL)

/** The same code on both. */
export function poolOf({ DRIVER, DATABASE_URL }: DatabaseEnv): pg.Pool {
  if (DRIVER === 'thaw') return thaw
  plain ??= new pg.Pool({ connectionString: DATABASE_URL })
  return plain
}

/** A binding itself, of which nothing may be read here. */
export const hyperdrive: Pool = new Pool((env as DatabaseEnv).HYPERDRIVE)
export const missing: Pool = new Pool((env) => (env as { NOT_THERE?: Hyperdrive }).NOT_THERE)
export const empty: Pool = new Pool((env: DatabaseEnv) => ({ connectionString: (env as { NOT_SET?: string }).NOT_SET }))

export const nowhere: Pool = new Pool('postgres://app:secret@127.0.0.1:1/app')

/** Asks before each use. */
const asking: Pool = new Pool((env: DatabaseEnv) => ({ connectionString: env.DATABASE_URL, trustMillis: 0 }))
/** Gives up an idle connection soon. */
const brief: Pool = new Pool((env: DatabaseEnv) => ({ connectionString: env.DATABASE_URL, idleTimeoutMillis: 100 }))

let plainForObjects: pg.Pool | undefined

/** By the name of an object, but for what follows the dash. */
export const objectPools: Readonly<Record<string, (env: DatabaseEnv) => pg.Pool>> = {
  pg({ DATABASE_URL }) {
    // Whose timer would end the wait after ten seconds.
    plainForObjects ??= new pg.Pool({ connectionString: DATABASE_URL, idleTimeoutMillis: 0 })
    return plainForObjects
  },
  asking: () => asking,
  brief: () => brief,
}

export { thaw }
