import { onePool, withThaw } from '@thaw/next'
import { Pool } from '@thaw/pg'

const pool = onePool(Pool, { connectionString: process.env.NOT_SET }, 'missing')

export const GET = withThaw(async () => {
  const error = await pool.query('SELECT 1').catch((thrown: Error) => thrown)
  return Response.json({ kind: (error as { kind?: string }).kind, message: (error as Error).message })
})
