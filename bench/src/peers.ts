/** The two that are compared: plain `pg`, and Thaw beside it. */

import { Pool as ThawPool } from '@thaw/pg'
import pg from 'pg'

export type PeerName = 'pg' | 'thaw'

/** The same class for both; Thaw's own options are read by Thaw alone. */
export function openPool(name: PeerName, options: pg.PoolConfig): pg.Pool {
  const pool = name === 'pg' ? new pg.Pool(options) : new ThawPool(options)
  // Plain pg ends the process when an idle connection dies unheard.
  pool.on('error', () => {})
  return pool
}

/** Opens `count` connections and gives them back. */
export async function openConnections(pool: pg.Pool, count: number): Promise<void> {
  const clients = await Promise.all(Array.from({ length: count }, () => pool.connect()))
  for (const client of clients) client.release()
}
