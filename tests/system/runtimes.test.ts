/**
 * Bun and Deno, from npm: connections die between two requests, as in tests/faults on Node. On plain `pg` eight requests at once fail or hang; on Thaw
 * none does, whatever has become of the connections.
 */

import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Packed, packAll } from '../package/packed.ts'
import { createProject, type Project } from './project.ts'
import { AT_ONCE, STRIKES, type Strike, strike } from './strikes.ts'

const APP = 'newcomer'
const PATIENCE_MILLIS = 600_000
const PERMISSIONS = ['--allow-net', '--allow-env', '--allow-read']

/** The page's server, on plain `pg`. */
const PLAIN = `import pg from 'pg'
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL })
pool.on('error', () => {})
export default {
  async fetch() {
    return Response.json((await pool.query("select * from orders where item = 'ice'")).rows)
  },
}`

const RUNTIMES: Readonly<Record<string, (file: string) => readonly string[]>> = {
  bun: (file) => ['bun', file],
  deno: (file) => ['deno', 'serve', ...PERMISSIONS, '--host=127.0.0.1', '--port=PORT', file],
}

let server: PostgresServer
let proxy: FaultProxy
let packed: Packed
let project: Project

beforeAll(async () => {
  ;[server, packed] = await Promise.all([startPostgres(), packAll()])
  proxy = await startFaultProxy(server)
  await server.query("CREATE TABLE orders AS SELECT * FROM (VALUES (1, 'ice'), (2, 'water')) AS all_orders (id, item)")
  project = await createProject({
    packed,
    page: 'docs/start/bun-deno.md',
    dependencies: { '@thaw/pg': 'packed', bun: '1.4.5', deno: '2.9.6', pg: '8.23.1' },
    files: { 'plain.ts': PLAIN },
  })
}, PATIENCE_MILLIS)
afterAll(async () => {
  await project[Symbol.asyncDispose]()
  await proxy.close()
  await server.close()
  await packed[Symbol.asyncDispose]()
})

async function serveAndStrike(
  command: readonly string[],
  strikes: readonly Strike[],
): Promise<{ how: Strike; struck: number; failed: number }[]> {
  const url = `${proxy.urlFor(server.url)}?application_name=${APP}`
  await using app = await project.serve(command, { DATABASE_URL: url, SUPABASE_DB_URL: url })
  const results = []
  for (const how of strikes) {
    const { struck, failed } = await strike(app.url, how, { server, proxy, app: APP })
    results.push({ how, struck, failed: failed.length })
  }
  return results
}

const noneFails = (strikes: readonly Strike[]) => strikes.map((how) => ({ how, struck: expect.any(Number), failed: 0 }))

describe.each(Object.entries(RUNTIMES))('%s', (_name, commandOf) => {
  test(
    'on Thaw no request fails, however the connections died',
    async () => {
      const results = await serveAndStrike(commandOf('server.ts'), STRIKES)
      expect(results).toEqual(noneFails(STRIKES))
      expect(Math.min(...results.map(({ struck }) => struck))).toBeGreaterThan(0)
    },
    PATIENCE_MILLIS,
  )

  test(
    'on plain pg those fail or hang whose connections were forgotten or dropped',
    async () => {
      const results = await serveAndStrike(commandOf('plain.ts'), ['rst-on-next-byte', 'drop'])
      expect(results.map(({ struck, failed }) => struck > 0 && failed >= Math.min(struck, AT_ONCE))).toEqual([true, true])
    },
    PATIENCE_MILLIS,
  )
})

test(
  'an Edge Function of Supabase, on Deno: no request fails',
  async () => {
    const strikes = ['terminate', 'rst-on-next-byte', 'drop'] as const
    // Deno.serve listens where it is told to by this variable.
    const command = ['env', 'DENO_SERVE_ADDRESS=tcp:127.0.0.1:PORT', 'deno', 'run', ...PERMISSIONS, 'supabase/functions/orders/index.ts']
    expect(await serveAndStrike(command, strikes)).toEqual(noneFails(strikes))
  },
  PATIENCE_MILLIS,
)
