/**
 * The process of `asleep.test.ts`: it waits for a connection, in the queue or for its first connection attempt, and is frozen meanwhile. In the second case so do two clients of
 * its own, one with a promise and one with a callback.
 */

import * as stockNeon from '@neondatabase/serverless'
import * as thawNeon from '@thaw/neon'
import * as thawPg from '@thaw/pg'
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

const DRIVERS = { pg, '@thaw/pg': thawPg, neon: stockNeon, '@thaw/neon': thawNeon } as unknown as Record<AsleepOrder['driver'], typeof pg>
/** Of running time: interval timers count none in which the process was frozen. */
const TICK_MILLIS = 50

let calls: Promise<string>[] = []

const told = (work: Promise<unknown>) =>
  work.then(
    () => 'ok',
    (error: Error) => error.message,
  )

function connectOwn(driver: AsleepOrder['driver'], config: pg.ClientConfig, withCallback: boolean): Promise<string> {
  const client = new DRIVERS[driver].Client(config)
  client.on('error', () => {})
  const connected = withCallback
    ? new Promise<void>((resolve, reject) => client.connect((error: Error | null) => (error ? reject(error) : resolve())))
    : client.connect()
  return told(connected.then(() => client.query('select')))
}

serve({
  async begin({ driver, connectionString, isHeldForMillis, neon }: AsleepOrder) {
    Object.assign(stockNeon.neonConfig, neon)
    const config = { connectionString, connectionTimeoutMillis: 1500 }
    const pool = new DRIVERS[driver].Pool({ ...config, max: 1 })
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
    calls = [told(pool.query('select'))]
    if (!isHeldForMillis) for (const withCallback of [false, true]) calls.push(connectOwn(driver, config, withCallback))
  },
  ended: () => Promise.all(calls),
})
