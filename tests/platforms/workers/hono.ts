/** A Worker made with Hono as docs/start/hono.md has it, and the same on plain `pg`. Hono itself is wrapped; a mounted app has the middleware. */

import { invocation, thawMiddleware, withThaw } from '@thaw/cloudflare'
import { Pool } from '@thaw/pg'
import { Hono } from 'hono'
import pg from 'pg'

interface Env {
  readonly DATABASE_URL: string
}

const ORDERS = 'SELECT id, item FROM orders ORDER BY id'
const pool = new Pool((env: Env) => env.DATABASE_URL)
let plain: pg.Pool | undefined

const app = new Hono<{ Bindings: Env }>()

app.get('/orders', async (c) => c.json((await pool.query(ORDERS)).rows))
app.get('/plain', async (c) => {
  plain ??= new pg.Pool({ connectionString: c.env.DATABASE_URL })
  return c.json((await plain.query(ORDERS)).rows)
})
/** Another connection of the request ends the first one, which then lies among the idle. */
app.get('/terminated', async (c) => {
  const victim = await pool.connect()
  const { rows } = await victim.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
  await pool.query('SELECT pg_terminate_backend($1)', [rows[0]?.pid])
  victim.release()
  const answers = await Promise.all(Array.from({ length: 3 }, () => pool.query(ORDERS)))
  return c.json(answers.at(-1)?.rows)
})
app.get('/id', (c) => c.json(invocation()?.id ?? null))

/** What the middleware does for an app that is not wrapped. */
const other = new Hono()
other.use(thawMiddleware())
other.get('/id', (c) => c.json(invocation()?.id ?? null))

const wrapped = withThaw(app)
export default {
  fetch: (request: Request, env: Env, ctx: ExecutionContext): Response | Promise<Response> =>
    new URL(request.url).searchParams.has('middleware') ? other.fetch(request, env, ctx) : wrapped.fetch(request, env, ctx),
}
