/** The Worker that `workers.ts` measures. The path says how it gets its connection. */

import { withThaw } from '@thaw/cloudflare'
import { Pool } from '@thaw/pg'
import pg from 'pg'

interface Env {
  readonly DATABASE_URL: string
}

const pool: Pool = new Pool((env: Env) => env.DATABASE_URL)

/** As Cloudflare's documents say: a client in each request, which the runtime closes. */
async function byHand(env: Env): Promise<pg.Client> {
  const client = new pg.Client(env.DATABASE_URL)
  await client.connect()
  return client
}

async function answer(request: Request, env: Env): Promise<Response> {
  const on = new URL(request.url).pathname === '/hand' ? await byHand(env) : pool
  for (let n = 0; n < 3; n++) await on.query('SELECT $1::int AS n', [n])
  return new Response('ok')
}

const wrapped = withThaw({ fetch: answer })

const worker: { fetch(request: Request, env: Env): Promise<Response> } = {
  fetch: (request, env) => (new URL(request.url).pathname === '/wrapped' ? wrapped : { fetch: answer }).fetch(request, env),
}
export default worker
