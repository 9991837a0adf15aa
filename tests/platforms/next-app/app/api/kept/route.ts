import { withThaw } from '@thaw/next'
import type { PoolClient } from 'pg'
import { thaw } from '../../../lib/db.ts'

let kept: PoolClient | undefined

/** A client for all requests: what people do who know neither pools nor freezes. */
export const GET = withThaw(async () => {
  kept ??= await thaw.connect()
  try {
    const { rows } = await kept.query('SELECT 1 AS one')
    return Response.json(rows[0])
  } catch (error) {
    const { name, message } = error as Error
    return Response.json({ name, message }, { status: 500 })
  }
})
