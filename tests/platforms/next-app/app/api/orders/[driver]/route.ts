import { withThaw } from '@thaw/next'
import type { NextRequest } from 'next/server'
import { EDIT, plain, thaw } from '../../../../lib/db.ts'

export const GET = withThaw(async (_request: NextRequest, context: { params: Promise<{ driver: string }> }) => {
  const { driver } = await context.params
  const pool = driver === 'pg' ? plain : thaw
  const { rows } = await pool.query('SELECT pg_backend_pid() AS pid')
  return Response.json({ ...rows[0], edit: EDIT })
})
