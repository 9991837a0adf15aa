import { numberOf, sql } from '../../../lib/db.ts'

export async function GET(request: Request): Promise<Response> {
  return Response.json(await sql`SELECT id, item, ${numberOf(request)}::int AS n FROM orders ORDER BY id`)
}
