/** One small app for every runtime and bundler: pools at module level, `neon()`, and a handler in `withThaw`. With where the database is written in. */

import type { Neon } from '@thaw/testkit'

const body = (neon: Neon): string => `
const url = ${JSON.stringify(neon.postgres.url)}
const neonUrl = ${JSON.stringify(neon.url)}
Object.assign(neonConfig, ${JSON.stringify(neon.driver)})

const pool = onePool(Pool, { connectionString: url })
const unbound = new Pool((env) => env.DATABASE_URL)
const webSockets = new NeonPool({ connectionString: neonUrl })
const webSocketsUnbound = new NeonPool((env) => env.NEON_URL)
const sql = neon(neonUrl)

const one = (asked) => asked.then(({ rows }) => rows[0].one, (error) => error.message)

async function byClient(pool) {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    const result = await client.query('SELECT 1 AS one')
    await client.query('COMMIT')
    return result
  } finally {
    client.release()
  }
}

const handle = withThaw(async () => Response.json({
  pool: await one(pool.query('SELECT 1 AS one')),
  client: await one(byClient(pool)),
  unbound: await one(unbound.query('SELECT 1 AS one')),
  webSockets: await one(webSockets.query('SELECT 1 AS one')),
  webSocketsUnbound: await one(webSocketsUnbound.query('SELECT 1 AS one')),
  http: await one(sql.query('SELECT 1 AS one').then((rows) => ({ rows }))),
  isWrapped: invocation() !== undefined,
}))

/** Thrice: what belongs to one request does not answer the second. */
async function answers() {
  const all = []
  for (let n = 0; n < 3; n++) all.push(await (await handle({ method: 'GET' }, {})).json())
  await Promise.all([pool.end(), webSockets.end(), unbound.end(), webSocketsUnbound.end()])
  return all
}
`

export const asModule = (neon: Neon): string => `
import { onePool, invocation, withThaw } from '@thaw/next'
import { neon, neonConfig, Pool as NeonPool } from '@thaw/neon'
import { Pool } from '@thaw/pg'
${body(neon)}
export { answers, handle }
`

export const asCommonJs = (neon: Neon): string => `
const { onePool, invocation, withThaw } = require('@thaw/next')
const { neon, neonConfig, Pool: NeonPool } = require('@thaw/neon')
const { Pool } = require('@thaw/pg')
${body(neon)}
module.exports = { answers, handle }
`

/** What the app says of itself. */
export interface Report {
  readonly pool: unknown
  readonly client: unknown
  readonly unbound: unknown
  readonly webSockets: unknown
  readonly webSocketsUnbound: unknown
  readonly http: unknown
  readonly isWrapped: unknown
}
