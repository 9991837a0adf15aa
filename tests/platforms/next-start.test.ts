/**
 * Next.js as it is served: `next build` and `next start`, and a function of Vercel's. The process is frozen, the database's side of every
 * connection dies meanwhile, and fifty requests wake it. Plain `pg`: each dead connection fails a request. Thaw: none fails.
 */

import {
  type FaultProxy,
  type PostgresServer,
  sessionsOf,
  startFaultProxy,
  startPostgres,
  startVercel,
  waitForSessions,
} from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { freezeAndWake, MAX } from './next-freeze.ts'
import { type AppCopy, buildApp, copyApp, type NextServer, startNext } from './next-server.ts'

/** To build it takes its time on a loaded machine. */
const LIMIT_MILLIS = 600_000

let server: PostgresServer
let proxy: FaultProxy
let app: AppCopy
let next: NextServer

beforeAll(async () => {
  ;[server, app] = await Promise.all([startPostgres(), copyApp()])
  proxy = await startFaultProxy(server)
  await server.query('CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text NOT NULL)')
  await buildApp(app.folder)
  next = await startNext(app.folder, 'start', { DATABASE_URL: proxy.urlFor(server.url), APP_NAME: 'start' })
}, LIMIT_MILLIS)
afterAll(async () => {
  await next?.[Symbol.asyncDispose]()
  await proxy.close()
  await server.close()
  await app[Symbol.asyncDispose]()
})

const get = (path: string, init?: RequestInit) => fetch(`${next.url}${path}`, init)

test('instrumentation, pages, actions and routes have one pool', async () => {
  await get('/api/orders/thaw')
  const page = await (await get('/orders')).text()
  const form = new FormData()
  // What a browser without JavaScript sends.
  for (const [, name = '', value = ''] of page.matchAll(/<input type="hidden" name="([^"]+)"(?: value="([^"]*)")?/g)) form.set(name, value)
  form.set('item', 'tea')
  expect(await (await get('/orders', { method: 'POST', body: form })).text()).toContain('<output>tea</output>')
  await waitForSessions(server, 'start-thaw', 1)
  expect(next.output).not.toContain('Thaw:')
})

test('a route can be static', async () => {
  expect(await (await get('/api/static')).json()).toEqual({ static: true })
})

test('a streaming response has its client until it has been read', async () => {
  expect(await (await get('/api/stream')).text()).toBe('1\n2\n3\n')
  expect(next.output).not.toContain('Thaw:')
})

test('a task of after() has the client that the handler took', async () => {
  expect((await get('/api/after', { method: 'POST' })).status).toBe(202)
  await expect.poll(async () => (await server.query("SELECT FROM orders WHERE item = 'after'")).rowCount).toBe(1)
  expect(next.output).not.toContain('Thaw:')
})

describe('fifty requests at once, across a freeze in which every connection died,', () => {
  test('are lost by plain pg', async () => {
    const { struck, failed } = await freezeAndWake({ next, name: 'start', server, proxy }, 'pg')
    expect(struck).toBeGreaterThanOrEqual(MAX)
    expect(failed).toBeGreaterThan(0)
  })

  test('are all answered by Thaw, with no more dials than the pool has places', async () => {
    const { struck, dials, failed } = await freezeAndWake({ next, name: 'start', server, proxy }, 'thaw')
    expect(struck).toBeGreaterThanOrEqual(MAX)
    expect(failed).toBe(0)
    expect(dials).toBeLessThanOrEqual(MAX)
  })
})

describe('what is done wrong is named:', () => {
  test('a client that was not given back', async () => {
    await get('/api/leak')
    await expect.poll(() => next.output).toMatch(/Thaw: a client was not released[\s\S]*\n +at /)
  })

  test('a client that is kept for all requests', async () => {
    expect((await get('/api/kept')).status).toBe(200)
    // The invocation ends a moment after its answer has been read.
    const again = async () => ((await (await get('/api/kept')).json()) as { message?: string }).message ?? 'it still works'
    await expect.poll(again).toMatch(/invocation that acquired this client has ended/)
  })

  test('a pool for each request, whose connections do not stay', async () => {
    for (let request = 0; request < 4; request++) expect((await get('/api/per-request')).status).toBe(200)
    expect(next.output.match(/Thaw: a pool is created in each request/g)).toHaveLength(1)
    expect(next.output).toMatch(/a pool is created in each request.*\n +at /)
    // The first one could have been the only one.
    await waitForSessions(server, 'start-stray', 1)
  })

  test('a DATABASE_URL that is not set', async () => {
    expect(await (await get('/api/missing')).json()).toMatchObject({ kind: 'option', message: expect.stringContaining('DATABASE_URL') })
  })
})

test('SIGTERM leaves no session', async () => {
  await using other = await startNext(app.folder, 'start', { DATABASE_URL: server.url, APP_NAME: 'sigterm' })
  await Promise.all(Array.from({ length: MAX }, () => fetch(`${other.url}/api/orders/thaw`)))
  expect((await sessionsOf(server, 'sigterm-thaw')).length).toBeGreaterThan(0)
  await other.stop()
  await waitForSessions(server, 'sigterm-thaw', 0)
})

test('on Vercel, no session is left when the instance is suspended', async () => {
  const env = { NEXT_APP: app.folder, NODE_ENV: 'production', DATABASE_URL: server.url, APP_NAME: 'vercel', IDLE_MILLIS: '300' }
  await using instance = await startVercel(new URL('./next-app/function.ts', import.meta.url), { env })
  for (let round = 0; round < 2; round++) {
    expect(await instance.request('/api/orders/thaw')).toMatchObject({ status: 200 })
    expect(instance.isSuspended).toBe(false)
    await instance.suspended()
    expect(await sessionsOf(server, 'vercel-thaw')).toEqual([])
  }
})
