import { neonPool, numberOf } from '../../../lib/db.ts'

export async function GET(request: Request): Promise<Response> {
  const { rows } = await neonPool.query('SELECT id, item, $1::int AS n FROM orders ORDER BY id', [numberOf(request)])
  return Response.json(rows)
}
