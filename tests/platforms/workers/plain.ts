/** A Worker as people copy it from a server: one pool of plain `pg` for all requests. */

import pg from 'pg'

interface Env {
  readonly DATABASE_URL: string
}

let pool: pg.Pool | undefined

const worker = {
  async fetch(_request: Request, env: Env): Promise<Response> {
    pool ??= new pg.Pool({ connectionString: env.DATABASE_URL })
    const { rows } = await pool.query('SELECT pg_backend_pid() AS pid')
    return Response.json(rows[0])
  },
}
export default worker
