/** The order API whose fate is watched: what a user would write, with nothing in it for this lab or for Thaw. */

import type pg from 'pg'

/** A request. `id` is the client's token for it: each order is stored with it, so that an order stored twice can be seen. */
export type OrderEvent =
  | { readonly action: 'read' }
  | { readonly action: 'place'; readonly id: string; readonly item: string }
  | { readonly action: 'place-all'; readonly id: string; readonly items: readonly string[] }

/** Answers one request. */
export type Handler = (event: OrderEvent) => Promise<{ readonly orders: number }>

/**
 * Makes the handler. `pool` is of `pg` or of `@thaw/pg`: the code is the same.
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
    if (event.action === 'place') {
      await pool.query(insert, [event.id, 1, event.item])
      return { orders: 1 }
    }
    // All or none: a transaction, as the manual of node-postgres writes one.
    const client = await pool.connect()
    try {
      await client.query('BEGIN')
      for (const [index, item] of event.items.entries()) await client.query(insert, [event.id, index + 1, item])
      await client.query('COMMIT')
    } catch (error) {
      await client.query('ROLLBACK')
      throw error
    } finally {
      client.release()
    }
    return { orders: event.items.length }
  }
}
