/** What users write around a pool by hand. */

import type pg from 'pg'

/** A transaction, as node-postgres' documentation has it. */
export async function transactionByHand(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<void>): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await work(client)
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    throw error
  } finally {
    client.release()
  }
}

/** As many callers at once as the pool may have connections: each acquires one and uses it, and all keep theirs until the last has ended. */
export async function fillPool<Report>(pool: pg.Pool, report: (caller: Promise<void>) => Promise<Report>): Promise<Report[]> {
  const clients: pg.PoolClient[] = []
  const acquire = async () => {
    const client = await pool.connect()
    clients.push(client)
    await client.query('SELECT 1')
  }
  const reports = await Promise.all(Array.from({ length: pool.options.max }, () => report(acquire())))
  for (const client of clients) client.release()
  return reports
}

/** Reads what was sent: an answer of another statement is an error. */
export async function readToken(from: pg.Pool | pg.PoolClient, text: string, token: string): Promise<void> {
  const { rows } = await from.query<{ token: string }>(text, [token])
  if (rows.length !== 1 || rows[0]?.token !== token) throw new Error(`Asked for ${token}, but was told ${JSON.stringify(rows)}`)
}
