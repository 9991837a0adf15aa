import { withThaw } from '@thaw/next'
import { Pool } from '@thaw/pg'

export const GET = withThaw(async () => {
  const pool = new Pool({ connectionString: process.env.DATABASE_URL, application_name: `${process.env.APP_NAME}-stray` })
  const { rows } = await pool.query('SELECT 1 AS one')
  return Response.json(rows[0])
})
