/** The same orders by Neon's driver: one statement over HTTP, or a pool over WebSockets. Delete this file if your database is not Neon's. */

import { env } from 'cloudflare:workers'
import { neon, neonConfig, Pool } from '@thaw/neon'
import { Hono } from 'hono'

// Where the local Neon is. On Cloudflare there is no such variable, and the driver goes where the URL says.
if (env.NEON_LOCAL) Object.assign(neonConfig, JSON.parse(env.NEON_LOCAL))

const neonPool: Pool = new Pool((bindings: Cloudflare.Env) => bindings.NEON_URL)

export const neonRoutes = new Hono<{ Bindings: Cloudflare.Env }>()
  .get('/http', async (c) => c.json(await neon(c.env.NEON_URL)`SELECT id, item FROM orders ORDER BY id LIMIT 100`))
  .get('/socket', async (c) => {
    const client = await neonPool.connect()
    try {
      await client.query('BEGIN READ ONLY')
      const { rows } = await client.query('SELECT id, item FROM orders ORDER BY id LIMIT 100')
      await client.query('COMMIT')
      return c.json(rows)
    } finally {
      client.release()
    }
  })
