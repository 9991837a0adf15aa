/** The pools, where people have them: at module level. */

import { Pool as NeonPool, neon, neonConfig } from '@thaw/neon'
import { onePool } from '@thaw/next'
import { Pool } from '@thaw/pg'
import pg from 'pg'

Object.assign(neonConfig, JSON.parse(process.env.NEON_DRIVER ?? '{}'))
const connectionString = process.env.DATABASE_URL
const neonUrl = process.env.NEON_URL ?? 'postgres://user:password@not-known-at-build.example.com/nowhere'

export const pool: Pool = new Pool({ connectionString })
export const one: Pool = onePool(Pool, { connectionString })
export const neonPool: NeonPool = new NeonPool({ connectionString: neonUrl })
export const sql = neon(neonUrl)

/** What people write without Thaw. */
export const plain: pg.Pool = new pg.Pool({ connectionString })

/** Has something of the request, so that an answer for another one is seen. */
export const numberOf = (request: Request): string => new URL(request.url).searchParams.get('n') ?? ''
