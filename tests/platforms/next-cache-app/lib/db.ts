/** The same count, asked of each driver: plain, and of Thaw as people make it, without `onePool`. */

import { Pool as NeonPool, neon, neonConfig } from '@thaw/neon'
import { onePool } from '@thaw/next'
import { Client, Pool } from '@thaw/pg'
import pg from 'pg'

Object.assign(neonConfig, JSON.parse(process.env.NEON_DRIVER ?? '{}'))
const connectionString = process.env.DATABASE_URL
const neonUrl = process.env.NEON_URL ?? 'postgres://user:secret@localhost/none'

const plain = new pg.Pool({ connectionString })
const thaw = new Pool({ connectionString })
const one = onePool(Pool, { connectionString })
const neonPool = new NeonPool({ connectionString: neonUrl })
const sql = neon(neonUrl)

const COUNT = 'SELECT count(*)::int AS n FROM orders'
type Rows = { n: number }[]

async function byClient(): Promise<{ rows: Rows }> {
  const client = new Client({ connectionString })
  await client.connect()
  try {
    return await client.query(COUNT)
  } finally {
    await client.end()
  }
}

async function byTransaction(): Promise<{ rows: Rows }> {
  const client = await thaw.connect()
  try {
    await client.query('BEGIN')
    return await client.query(COUNT)
  } finally {
    await client.query('COMMIT')
    client.release()
  }
}

const DRIVERS: Readonly<Record<string, () => Promise<{ rows: Rows }>>> = {
  pg: () => plain.query(COUNT),
  thaw: () => thaw.query(COUNT),
  transaction: byTransaction,
  client: byClient,
  'one-pool': () => one.query(COUNT),
  'neon-pool': () => neonPool.query(COUNT),
  'neon-http': async () => ({ rows: (await sql.query(COUNT)) as Rows }),
}

export const drivers: string[] = Object.keys(DRIVERS)

export async function countOrders(driver: string): Promise<number> {
  const { rows } = (await DRIVERS[driver]?.()) ?? { rows: [] }
  return rows[0]?.n ?? -1
}
