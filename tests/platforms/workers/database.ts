/** Pools at module level, as an app has them: plain pg, and Thaw from each of its sources. */

import { env } from 'cloudflare:workers'
import { Pool } from '@thaw/pg'
import pg from 'pg'
import type { Report, WrappedCounter } from './app.ts'

/** What the tests bind. */
export interface Env extends Cloudflare.Env {
  readonly DRIVER: 'pg' | 'thaw'
  readonly DATABASE_URL: string
  readonly HYPERDRIVE: Hyperdrive
  readonly COUNTER: DurableObjectNamespace
  readonly WRAPPED_COUNTER: DurableObjectNamespace<InstanceType<typeof WrappedCounter>>
  readonly REPORT: Service<typeof Report>
  readonly QUEUE: Queue<string>
}

let plain: pg.Pool | undefined

/** On Thaw the options are read in the first request; on plain pg somebody has to see to that. */
const thaw: Pool = new Pool((env: Env) => env.DATABASE_URL)

/** The same code on both. */
export function poolOf({ DRIVER, DATABASE_URL }: Env): pg.Pool {
  if (DRIVER === 'thaw') return thaw
  plain ??= new pg.Pool({ connectionString: DATABASE_URL })
  return plain
}

/** A binding itself, of which nothing may be read here. */
export const hyperdrive: Pool = new Pool((env as Env).HYPERDRIVE)
export const missing: Pool = new Pool((env) => (env as { NOT_THERE?: Hyperdrive }).NOT_THERE)
export const empty: Pool = new Pool((env: Env) => ({ connectionString: (env as { NOT_SET?: string }).NOT_SET }))

export const nowhere: Pool = new Pool('postgres://app:secret@127.0.0.1:1/app')

/** Asks before each use. */
const asking: Pool = new Pool((env: Env) => ({ connectionString: env.DATABASE_URL, trustMillis: 0 }))
/** Gives up an idle connection soon. */
const brief: Pool = new Pool((env: Env) => ({ connectionString: env.DATABASE_URL, idleTimeoutMillis: 100 }))

let plainForObjects: pg.Pool | undefined

/** By the name of an object, but for what follows the dash. */
export const objectPools: Readonly<Record<string, (env: Env) => pg.Pool>> = {
  pg({ DATABASE_URL }) {
    // Whose timer would end the wait after ten seconds.
    plainForObjects ??= new pg.Pool({ connectionString: DATABASE_URL, idleTimeoutMillis: 0 })
    return plainForObjects
  },
  asking: () => asking,
  brief: () => brief,
}

export { thaw }
