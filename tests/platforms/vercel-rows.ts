/** A Vercel function of the web's kind: a `GET` that answers with rows as they come. Its pool has one connection. */

import { Pool } from '@thaw/pg'
import { invocation, withThaw } from '@thaw/vercel'

const pool = new Pool({ connectionString: process.env['DATABASE_URL'], application_name: process.env['APP'] ?? '', max: 1 })

type Rows = (count: number) => AsyncGenerator<string>

const WAYS: Readonly<Record<string, Rows>> = {
  /** Keeps a client in use for as long as its rows are read. */
  async *client(count) {
    const client = await pool.connect()
    try {
      for (let n = 0; n < count; n++) yield rowOf(await client.query('SELECT $1::int AS n', [n]))
    } finally {
      client.release()
    }
  },
  /** Takes one anew for each row. */
  async *pool(count) {
    for (let n = 0; n < count; n++) yield rowOf(await pool.query('SELECT $1::int AS n', [n]))
  },
}

/** The row, and whether it was asked for inside of an invocation that has a deadline. */
function rowOf({ rows }: { rows: { n: number }[] }): string {
  return `${rows[0]?.n} ${Number.isFinite(invocation()?.deadlineAt) ? 'bounded' : 'unbounded'}\n`
}

async function rows(request: Request): Promise<Response> {
  const { pathname, searchParams } = new URL(request.url)
  const generate = WAYS[pathname.slice(1)]?.(Number(searchParams.get('count')))
  if (!generate) return Response.json((await pool.query('SELECT 1 AS one')).rows)
  return new Response(ReadableStream.from(generate).pipeThrough(new TextEncoderStream()))
}

export const GET: typeof rows = withThaw(rows)
