/** A process with a pool, the latest that was opened, and without a single error listener: no code in it expects a connection to die. */

import { Pool as ThawPool } from '@thaw/pg'
import { serve } from '@thaw/testkit'
import pg from 'pg'
import type { Driver } from './child.ts'

let pool: pg.Pool

serve({
  open({ driver, config }: { driver: Driver; config: pg.PoolConfig }) {
    pool = driver === 'pg' ? new pg.Pool(config) : new ThawPool(config)
  },
  query: async () => (await pool.query('select 1 as one')).rows,
  /** Takes a client, and forgets it. */
  async hold() {
    await pool.connect()
  },
})
