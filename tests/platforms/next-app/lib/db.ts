/** The pools, where people have them: at module level. */

import { onePool } from '@thaw/next'
import { Pool } from '@thaw/pg'
import { attachPool } from '@thaw/vercel'
import pg from 'pg'

const connectionString = process.env.DATABASE_URL
const name = process.env.APP_NAME
const idleTimeoutMillis = Number(process.env.IDLE_MILLIS ?? 10_000)

/** Tests under `next dev` edit this file, and want to know when that was noticed. */
export const EDIT: number = 0

export const thaw: Pool = attachPool(onePool(Pool, { connectionString, application_name: `${name}-thaw`, max: 5, idleTimeoutMillis }))

/** What people write without Thaw. */
export const plain: pg.Pool = new pg.Pool({ connectionString, application_name: `${name}-pg`, max: 5, idleTimeoutMillis })
plain.on('error', () => {})
