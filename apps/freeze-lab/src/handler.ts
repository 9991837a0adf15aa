/** The order API whose fate is watched: what a user would write, with nothing in it for this lab or for Thaw. */

import type { Pool as ThawPool } from '@thaw/pg'
import type pg from 'pg'

/** A request. `id` is the client's token for it: each order is stored with it, so that an order stored twice can be seen. */
export type OrderEvent =
  | { readonly action: 'read' }
  /**
   * `whole`: in a transaction that must be stored once. Thaw has one for that; with plain `pg` it is written by hand. `keyed`: under the client's token, of which plain `pg` knows nothing.
   */
  | { readonly action: 'place'; readonly id: string; readonly item: string; readonly whole?: true; readonly keyed?: true }
  | { readonly action: 'place-all'; readonly id: string; readonly items: readonly string[] }

/** Answers one request. */
export type Handler = (event: OrderEvent) => Promise<{ readonly orders: number }>

/**
 * Makes the handler. `pool` is of `pg` or of `@thaw/pg`: the code is the same, but for what only Thaw has.
 *
 * `table` has no unique constraint, which would hide what the lab wants to count.
 */
export function createHandler(pool: pg.Pool, table: string): Handler {
  const insert = `INSERT INTO ${table} (token, line, item) VALUES ($1, $2, $3)`
  return async (event) => {
    if (event.action === 'read') {
      const { rows } = await pool.query(`SELECT number, item FROM ${table} ORDER BY number DESC LIMIT 10`)
      return { orders: rows.length }
    }
    if (event.action === 'place' && event.whole && 'transaction' in pool) {
      await (pool as ThawPool).transaction((client) => client.query(insert, [event.id, 1, event.item]))
      return { orders: 1 }
    }
    if (event.action === 'place' && event.keyed && 'transaction' in pool) {
      await (pool as ThawPool).query({ text: insert, values: [event.id, 1, event.item], idempotencyKey: event.id })
      return { orders: 1 }
    }
    if (event.action === 'place' && !event.whole) {
      await pool.query(insert, [event.id, 1, event.item])
      return { orders: 1 }
    }
    // All or none: a transaction, as the manual of node-postgres writes one.
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      const items = event.action === 'place' ? [event.item] : event.items
      for (const [index, item] of items.entries()) await client.query(insert, [event.id, index + 1, item])
      await client.query('COMMIT')
    } catch (error) {
      await client.query('ROLLBACK')
      throw error
    } finally {
      client.release()
    }
    return { orders: event.action === 'place' ? 1 : event.items.length }
  }
}
