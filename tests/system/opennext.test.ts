/**
 * Next.js on Cloudflare: built by OpenNext, run by workerd.
 *
 * What breaks: Next.js bundles the app for Node, and it runs in a Worker, where a connection belongs to the request that opened it. A pool that takes its
 * runtime for Node hands the second request the connection of the first.
 */

import { setTimeout } from 'node:timers/promises'
import { type Neon, type PostgresServer, startNeon, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type AppCopy, copyApp, type NextServer } from '../platforms/next-server.ts'
import { buildWorker, serveWorker } from '../platforms/opennext.ts'

const BUILD_MILLIS = 600_000
const SEQUENTIAL = 6
const BURST = 8
/** Longer than trustMillis, which is 500: what is idle must be checked. */
const PAUSE_MILLIS = 1_500
const HANGING_MILLIS = 20_000
const ORDERS = "CREATE TABLE orders AS SELECT * FROM (VALUES (1, 'ice'), (2, 'water')) AS all_orders (id, item)"

let server: PostgresServer
let neon: Neon
let app: AppCopy
let worker: NextServer

beforeAll(async () => {
  ;[server, neon, app] = await Promise.all([startPostgres(), startNeon(), copyApp('opennext-app')])
  await Promise.all([server.query(ORDERS), neon.postgres.query(ORDERS)])
  await buildWorker(app.folder)
  worker = await serveWorker(app.folder, { DATABASE_URL: server.url, NEON_URL: neon.url, NEON_DRIVER: JSON.stringify(neon.driver) })
}, BUILD_MILLIS)
afterAll(async () => {
  await worker?.stop()
  await Promise.all([server.close(), neon.close(), app[Symbol.asyncDispose]()])
})

async function ask(route: string, n: number): Promise<{ status: number; body: string }> {
  const response = await fetch(`${worker.url}/api/${route}?n=${n}`, { signal: AbortSignal.timeout(HANGING_MILLIS) })
  return { status: response.status, body: await response.text() }
}

function orders(n: number): { status: number; body: string } {
  const rows = [
    { id: 1, item: 'ice', n },
    { id: 2, item: 'water', n },
  ]
  return { status: 200, body: JSON.stringify(rows) }
}

test('plain pg: a pool at module level answers the first request, and not the next', async () => {
  expect(await ask('plain', 0)).toEqual(orders(0))
  expect((await ask('plain', 1)).status).toBe(500)
  await expect.poll(() => worker.output).toContain("your Worker's code had hung")
})

test.each(['pool', 'one', 'neon', 'neon-pool'])('/api/%s answers requests one by one and at once, also after a pause', async (route) => {
  const inARow = Array.from({ length: SEQUENTIAL }, (_, n) => n)
  const atOnce = Array.from({ length: BURST }, (_, n) => n)
  const before = worker.output.length
  for (const pauseMillis of [0, PAUSE_MILLIS]) {
    await setTimeout(pauseMillis)
    for (const n of inARow) expect(await ask(route, n), worker.output).toEqual(orders(n))
    await setTimeout(pauseMillis)
    expect(await Promise.all(atOnce.map((n) => ask(route, n))), worker.output).toEqual(atOnce.map(orders))
  }
  expect(worker.output.slice(before)).not.toContain('ScopeError')
})
