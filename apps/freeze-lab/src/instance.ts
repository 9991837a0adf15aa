/**
 * One instance of the function: a process with a pool at module level, which the platform invokes, freezes and thaws. The
 * argument says which driver it uses; everything else is the same for both. `retry`: plain pg, and a retry by hand.
 */

import { isIP } from 'node:net'
import type { Pool as ThawPool } from '@thaw/pg'
import { failDns, serve } from '@thaw/testkit'
import type pg from 'pg'
import { createHandler } from './handler.ts'
import { recordInstance } from './record/instance-record.ts'
import { retryByHand } from './retry-by-hand.ts'

const [driver] = process.argv.slice(2)
const recorder = recordInstance()
const { DATABASE_URL: connectionString = '', ORDERS_TABLE: table = 'orders' } = process.env

// The URL keeps the database's own name, so that certificates and name-based routing work; here it leads to the proxy.
const { hostname } = new URL(connectionString)
let names = isIP(hostname) ? undefined : failDns({ host: hostname, times: 0 })

const Pool = (driver === 'thaw' ? await import('@thaw/pg') : (await import('pg')).default).Pool as new (config: pg.PoolConfig) => pg.Pool

function createPool(): pg.Pool {
  const pool = new Pool({ connectionString, max: 10 })
  // Without it the first idle connection that dies ends a process on plain pg. It is well known, so pg gets it here; Thaw needs none.
  if (driver !== 'thaw') pool.on('error', () => {})
  // Thaw tells what it decides. Plain pg decides nothing that it could tell.
  if ('subscribe' in pool) (pool as ThawPool).subscribe(recorder.decided)
  return pool
}

const invoke = driver === 'retry' ? retryByHand(createPool, table) : createHandler(createPool(), table)
serve({ invoke, setNamesFailing, takeRecord: () => recorder.record })

/** Lets lookups of the database's name fail, or work again. Says how many have failed since the last call. */
function setNamesFailing(isFailing: boolean): number {
  recorder.namesFail(isFailing)
  const failures = names?.failures ?? 0
  names?.restore()
  names = failDns({ host: hostname, times: isFailing ? Number.POSITIVE_INFINITY : 0 })
  return failures
}
