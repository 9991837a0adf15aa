/** @thaw/neon where there is no TCP and no `node:` module: on the Edge runtime, and in workerd with a pool at module level. The real ones, from npm. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { type Neon, startNeon, waitForSessions } from '@thaw/testkit'
import { EdgeRuntime } from 'edge-runtime'
import { build } from 'esbuild'
import { convertV4MiniflareOptions, Miniflare } from 'miniflare'
import { afterAll, beforeAll, expect, test } from 'vitest'

const HERE = new URL('.', import.meta.url).pathname

let neon: Neon

beforeAll(async () => {
  neon = await startNeon()
  await neon.postgres.query('CREATE TABLE orders (id int)')
})
afterAll(() => neon.close())

/** A handler of requests: over HTTP with `neon()`, over WebSocket with a pool, of the module's or of the request's own. */
const handle = (poolOf: 'module' | 'request') => `
  import { neon, neonConfig, Pool } from '@thaw/neon'
  Object.assign(neonConfig, ${JSON.stringify(neon.driver)})
  const url = ${JSON.stringify(neon.url)}
  const sql = neon(url)
  // Without hedges, of which a slow machine sees some: connections are counted.
  const createPool = () => new Pool({ connectionString: url, application_name: 'runtime', max: 1, trustMillis: 0, hedge: false })
  const modulePool = ${poolOf === 'module' ? 'createPool()' : 'undefined'}
  const failed = (error) => [error.kind, error.code ?? null]
  async function handle(request) {
    const path = new URL(request.url).pathname
    if (path === '/http') return Response.json(await sql\`SELECT \${1}::int AS one\`)
    if (path === '/http-write') return Response.json(await sql\`INSERT INTO orders VALUES (1)\`.then((rows) => rows, failed))
    const pool = modulePool ?? createPool()
    const before = pool.stats().connected
    const rows = await pool.query('SELECT 2 AS two').then((result) => result.rows)
    const again = await pool.query('SELECT 3 AS three').then((result) => result.rows, failed)
    const client = await pool.connect()
    await client.query('BEGIN')
    await client.query('INSERT INTO orders VALUES (2)')
    await client.query('COMMIT')
    client.release()
    const connected = pool.stats().connected - before
    if (!modulePool) await pool.end()
    return Response.json({ rows, again, connected })
  }
`

async function bundle(source: string, format: 'esm' | 'iife', condition: string): Promise<string> {
  const { outputFiles, warnings } = await build({
    stdin: { contents: source, resolveDir: HERE, loader: 'ts' },
    bundle: true,
    write: false,
    format,
    conditions: [condition],
    external: ['cloudflare:workers'],
    logLevel: 'silent',
  })
  expect(warnings).toEqual([])
  return outputFiles[0]?.text ?? ''
}

interface Runtime extends AsyncDisposable {
  request(path: string): Promise<unknown>
}

async function startEdge(): Promise<Runtime> {
  const initialCode = await bundle(
    `${handle('request')}\naddEventListener('fetch', (event) => event.respondWith(handle(event.request)))`,
    'iife',
    'edge-light',
  )
  // Vercel adds this global to the runtime, as Next.js' own sandbox does.
  const runtime = new EdgeRuntime({ initialCode, extend: (context) => Object.assign(context, { AsyncLocalStorage }) })
  return {
    request: async (path) => (await runtime.dispatchFetch(`https://edge.example${path}`)).json(),
    [Symbol.asyncDispose]: async () => {},
  }
}

async function startWorkerd(): Promise<Runtime> {
  const script = await bundle(`${handle('module')}\nexport default { fetch: handle }`, 'esm', 'workerd')
  const worker = new Miniflare(convertV4MiniflareOptions({ modules: true, script, compatibilityDate: '2026-11-01', cf: false }))
  return {
    request: async (path) => (await worker.dispatchFetch(`https://worker.example${path}`)).json(),
    [Symbol.asyncDispose]: () => worker.dispose(),
  }
}

test.for([
  ['the Edge runtime', startEdge],
  ['workerd', startWorkerd],
] as const)('%s', async ([, start]) => {
  await neon.postgres.query('TRUNCATE orders')
  await using runtime = await start()
  expect(await runtime.request('/http')).toEqual([{ one: 1 }])
  neon.answerNext(503)
  expect(await runtime.request('/http')).toEqual([{ one: 1 }])
  neon.answerNext(502, { when: 'after-work' })
  expect(await runtime.request('/http-write')).toEqual(['outcome-unknown', '08007'])
  for (const _ of [1, 2, 3]) {
    const lost = neon.compute.loseNextAnswer({ containing: 'SELECT 3' })
    expect(await runtime.request('/websocket')).toEqual({ rows: [{ two: 2 }], again: [{ three: 3 }], connected: 2 })
    await lost.struck
  }
  expect((await neon.postgres.query('SELECT id FROM orders ORDER BY id')).rows).toEqual([{ id: 1 }, { id: 2 }, { id: 2 }, { id: 2 }])
  await waitForSessions(neon.postgres, 'runtime', 0)
})
