/** One pool, and one Drizzle, for all requests. Nothing is opened before a request asks for something: then it has connections of its own. */

import { Pool } from '@thaw/pg'
import { drizzle, type NodePgDatabase } from 'drizzle-orm/node-postgres'
import { boolean, integer, pgTable, text } from 'drizzle-orm/pg-core'

declare global {
  namespace Cloudflare {
    /** What wrangler.jsonc binds. `wrangler types` writes this for you. */
    interface Env {
      readonly HYPERDRIVE: Hyperdrive
      readonly STOCK: DurableObjectNamespace<import('./stock.ts').Stock>
      readonly CONFIRMATIONS: Queue<number>
      /** A secret. */
      readonly NEON_URL: string
      readonly NEON_LOCAL?: string
    }
  }
}

export const pool: Pool = new Pool((env) => env.HYPERDRIVE)
export const db: NodePgDatabase & { $client: Pool } = drizzle(pool)

export const orders = pgTable('orders', {
  id: integer().primaryKey().generatedAlwaysAsIdentity(),
  item: text().notNull(),
  confirmed: boolean().notNull().default(false),
})
