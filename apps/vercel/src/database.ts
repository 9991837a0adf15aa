/** One pool for the whole process, and Drizzle on it, both at module level. It connects when it is first used. */

import { onePool } from '@thaw/next'
import { Pool } from '@thaw/pg'
import { attachPool } from '@thaw/vercel'
import { drizzle } from 'drizzle-orm/node-postgres'

export const pool: Pool = onePool(Pool, { connectionString: process.env.DATABASE_URL, application_name: 'app-vercel', max: 5 })

// Before Vercel suspends the instance, idle connections are closed. Elsewhere this does nothing.
attachPool(pool)

export const db = drizzle(pool)
