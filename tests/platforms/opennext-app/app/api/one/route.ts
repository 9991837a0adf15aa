import { withThaw } from '@thaw/next'
import { numberOf, one } from '../../../lib/db.ts'

export const GET = withThaw(async (request: Request) => {
  const client = await one.connect()
  try {
    await client.query('BEGIN')
    const { rows } = await client.query('SELECT id, item, $1::int AS n FROM orders ORDER BY id', [numberOf(request)])
    await client.query('COMMIT')
    return Response.json(rows)
  } finally {
    client.release()
  }
})
