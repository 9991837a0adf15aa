/** Ten functions in one process that is frozen between their calls: each a pool of one connection at module level, as ten modules would have it. */

import { serve } from '@thaw/testkit'
import type pg from 'pg'
import { createHandler, type OrderEvent } from './handler.ts'

const [driver, functions] = process.argv.slice(2)
const { DATABASE_URL: connectionString = '', ORDERS_TABLE: table = 'orders' } = process.env

const isThaw = driver === 'thaw'
const Pool = (isThaw ? await import('@thaw/pg') : (await import('pg')).default).Pool as new (config: object) => pg.Pool
const handlers = Array.from({ length: Number(functions) }, () => {
  // The platform freezes the process before a timer could close anything.
  const pool = new Pool({ connectionString, max: 1, idleTimeoutMillis: 0, ...(isThaw && { fleet: 'orders' }) })
  if (!isThaw) pool.on('error', () => {})
  return createHandler(pool, table)
})

serve({ invoke: ({ index, event }: { index: number; event: OrderEvent }) => handlers[index]?.(event) })
