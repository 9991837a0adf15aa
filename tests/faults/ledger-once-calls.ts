/** What the ledger calls where a write must be applied exactly once: transactions, batches, single statements, and keys. */

import { OutcomeUnknownError, type Pool } from '@thaw/pg'
import type pg from 'pg'

export type OnceKind = 'whole' | 'conflicting' | 'batch' | 'onceBatch' | 'once' | 'keyed' | 'keyedBatch'

const INSERT = 'INSERT INTO ledger VALUES ($1, $2)'
const parts = (token: string, ...all: number[]) => all.map((part) => ({ text: INSERT, values: [token, part] }))

export const ONCE_CALLS: Readonly<Record<OnceKind, (pool: pg.Pool, token: string) => Promise<unknown>>> = {
  whole: (pool, token) =>
    thaw(pool).transaction(async (client) => {
      for (const { text, values } of parts(token, 1, 2)) await client.query(text, values)
    }),
  // All change one row: the server makes some give way.
  conflicting: (pool, token) =>
    thaw(pool).transaction(
      async (client) => {
        const { rows } = await client.query<{ n: number }>('SELECT n FROM counter')
        await client.query('UPDATE counter SET n = $1', [(rows[0]?.n ?? 0) + 1])
        await client.query(INSERT, [token, 0])
      },
      { isolation: 'serializable', retries: 200 },
    ),
  batch: (pool, token) => thaw(pool).batch(parts(token, 1, 2)),
  onceBatch: (pool, token) => thaw(pool).batch(parts(token, 1, 2), { once: true }),
  once: (pool, token) => thaw(pool).query({ ...(parts(token, 0)[0] as { text: string; values: unknown[] }), once: true }),
  keyed: (pool, token) =>
    twice(() => thaw(pool).query({ ...(parts(token, 0)[0] as { text: string; values: unknown[] }), idempotencyKey: token })),
  keyedBatch: (pool, token) => twice(() => thaw(pool).batch(parts(token, 1, 2), { idempotencyKey: token })),
}

/** Of a hundred. */
export const ONCE_SHARES: Readonly<Record<OnceKind, number>> = {
  whole: 25,
  conflicting: 5,
  batch: 10,
  onceBatch: 15,
  once: 20,
  keyed: 15,
  keyedBatch: 10,
}

/** As a queue does, which delivers again what was not acknowledged. */
async function twice(call: () => Promise<unknown>): Promise<unknown> {
  try {
    return await call()
  } catch (error) {
    if (error instanceof OutcomeUnknownError) return call()
    throw error
  }
}

function thaw(pool: pg.Pool): Pool {
  return pool as Pool
}
