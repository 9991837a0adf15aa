/** A Worker that uses db0 as Nitro does: one database at module level, for all requests. */

import { Pool } from '@thaw/pg'
import { db0Connector } from '@thaw/pg/db0'
import { createDatabase, type Database } from 'db0'
import postgresql from 'db0/connectors/postgresql'

interface Env {
  readonly DATABASE_URL: string
}

const thaw: Database = createDatabase(db0Connector(new Pool((env: Env) => env.DATABASE_URL)))
let own: Database | undefined

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    own ??= createDatabase(postgresql({ url: env.DATABASE_URL }))
    const db = new URL(request.url).pathname === '/own' ? own : thaw
    const { rows } = await db.sql`SELECT ${1}::int AS one`
    return Response.json(rows)
  },
}
