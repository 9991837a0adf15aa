/** A process with a pool, the latest that was opened, and without a single error listener: no code in it expects a connection to die. */

import { Client as ThawClient, Pool as ThawPool } from '@thaw/pg'
import { serve } from '@thaw/testkit'
import pg from 'pg'
import type { Driver } from './child.ts'

let pool: pg.Pool

serve({
  open({ driver, config }: { driver: Driver | 'client'; config: pg.PoolConfig }) {
    pool =
      driver === 'thaw'
        ? new ThawPool(config)
        : new pg.Pool(driver === 'pg' ? config : ({ ...config, Client: ThawClient } as pg.PoolConfig))
  },
  query: async () => (await pool.query('select 1 as one')).rows,
  /** Takes a client, and forgets it. */
  async hold() {
    await pool.connect()
  },
})
