/** The stock of one item. A Durable Object has one connection, however many requests it has, and closes it when it has been idle for five seconds. */

import { DurableObject } from 'cloudflare:workers'
import { withThaw } from '@thaw/cloudflare'
import { pool } from './database.ts'

class ItemStock extends DurableObject<Cloudflare.Env> {
  /** Takes one, and says how many are left. `undefined`: there is none. */
  async take(item: string): Promise<number | undefined> {
    const { rows } = await pool.query<{ stock: number }>(
      'UPDATE items SET stock = stock - 1 WHERE item = $1 AND stock > 0 RETURNING stock',
      [item],
    )
    return rows[0]?.stock
  }
}

export const Stock: typeof ItemStock = withThaw(ItemStock)
export type Stock = ItemStock
