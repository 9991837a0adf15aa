/** The process of `asleep.test.ts`: it waits for a connection, in the queue or for its first connection attempt, and is frozen meanwhile. */

import { Pool as NeonPool, neonConfig } from '@neondatabase/serverless'
import { Pool as ThawNeonPool } from '@thaw/neon'
import { Pool as ThawPool } from '@thaw/pg'
import { type Neon, serve } from '@thaw/testkit'
import pg from 'pg'

/** What the child is told. */
export interface AsleepOrder {
  readonly driver: 'pg' | '@thaw/pg' | 'neon' | '@thaw/neon'
  /** Where the local Neon is. Undefined: no driver of Neon's is asked for. */
  readonly neon?: Neon['driver']
  readonly connectionString: string
  /** So long the only connection is in use, in time for which the process runs. Undefined: there is none yet. */
  readonly isHeldForMillis?: number
}

const CLASSES = { pg: pg.Pool, '@thaw/pg': ThawPool, neon: NeonPool, '@thaw/neon': ThawNeonPool } as unknown as Record<
  AsleepOrder['driver'],
  typeof pg.Pool
>
/** Of running time: interval timers count none in which the process was frozen. */
const TICK_MILLIS = 50

let call: Promise<string> | undefined

serve({
  async begin({ driver, connectionString, isHeldForMillis, neon }: AsleepOrder) {
    Object.assign(neonConfig, neon)
    const pool = new CLASSES[driver]({ connectionString, max: 1, connectionTimeoutMillis: 1500 })
    pool.on('error', () => {})
    if (isHeldForMillis) {
      const client = await pool.connect()
      let ticks = 0
      const timer = setInterval(() => {
        if (++ticks < isHeldForMillis / TICK_MILLIS) return
        clearInterval(timer)
        client.release()
      }, TICK_MILLIS)
    }
    call = pool.query('select').then(
      () => 'ok',
      (error: Error) => error.message,
    )
  },
  ended: () => call,
})
