/** A Lambda function of a fleet, as people write it who have changed an import and an option, and nothing else: no `withThaw`. */

import { Pool } from '@thaw/pg'
import pg from 'pg'

const options = { connectionString: process.env.DATABASE_URL, max: 1, connectionTimeoutMillis: 25_000 }
const pool = process.env.DRIVER === 'pg' ? new pg.Pool(options) : new Pool({ ...options, fleet: 'orders' })

export const handler = async () => (await pool.query('select 1 as one')).rows[0].one
