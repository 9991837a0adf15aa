/**
 * Next.js as it is developed: each edit loads the modules again. A pool at module level is then another one, and the old one keeps its connections:
 * six pools after five edits. With `onePool` it stays one, and a changed configuration retires the old one. What cannot work is named.
 */

import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { type PostgresServer, sessionsOf, startPostgres, waitForSessions } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { type AppCopy, copyApp, type NextServer, startNext } from './next-server.ts'

const EDITS = 5
/** The first request compiles, which takes its time on a loaded machine. */
const LIMIT_MILLIS = 300_000

let server: PostgresServer
let app: AppCopy
let next: NextServer
let lastEdit = 0

vi.setConfig({ testTimeout: LIMIT_MILLIS })

beforeAll(async () => {
  ;[server, app] = await Promise.all([startPostgres(), copyApp()])
  await server.query('CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text NOT NULL)')
  const env = { DATABASE_URL: server.url, APP_NAME: 'dev', IDLE_MILLIS: '600000' }
  next = await startNext(app.folder, 'dev', env)
}, LIMIT_MILLIS)
afterAll(async () => {
  await next?.[Symbol.asyncDispose]()
  await server.close()
  await app[Symbol.asyncDispose]()
})

const get = (path: string) => fetch(next.url + path)

/** Edits the module of the pools, and waits until requests are served by what it has become. */
async function edit(change: (text: string) => string = (text) => text): Promise<void> {
  const file = join(app.folder, 'lib/db.ts')
  const text = await readFile(file, 'utf8')
  await writeFile(file, change(text).replace(`EDIT: number = ${lastEdit}`, `EDIT: number = ${++lastEdit}`))
  for (const driver of ['thaw', 'pg']) {
    const noticed = async () => ((await (await get(`/api/orders/${driver}`)).json()) as { edit: number }).edit
    await expect.poll(noticed, { timeout: LIMIT_MILLIS }).toBe(lastEdit)
  }
}

/** Adds a page or a route, and asks for it once it is known. */
async function add(path: string, text: string): Promise<Response> {
  const file = join(app.folder, 'app', path)
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
  let response = await get(`/${dirname(path)}`)
  while (response.status === 404) response = await get(`/${dirname(path)}`)
  return response
}

test('five edits leave one pool of Thaw’s, and six of plain pg', async () => {
  for (let count = 0; count < EDITS; count++) await edit()
  await get('/orders')
  // On a busy machine a connection that is slow to open has had another one beside it.
  expect((await sessionsOf(server, 'dev-thaw')).length).toBeLessThanOrEqual(2)
  expect((await sessionsOf(server, 'dev-pg')).length).toBeGreaterThanOrEqual(EDITS)
  expect(next.output).not.toContain('Thaw:')
})

test('a changed configuration retires the old pool', async () => {
  const [before] = await sessionsOf(server, 'dev-thaw')
  await edit((text) => text.replace('max: 5', 'max: 4'))
  const [after] = await waitForSessions(server, 'dev-thaw', 1)
  expect(after?.pid).not.toBe(before?.pid)
  expect(next.output).toContain('Thaw: the configuration of the pool "default" has changed')
})

test.for([
  ['a client that was not released', 'api/leak'],
  ['a pool in each request', 'api/per-request'],
] as const)('%s is reported with its place in the sources', async ([, path]) => {
  for (const _ of [1, 2]) expect((await get(`/${path}`)).status).toBe(200)
  await expect.poll(() => next.output).toMatch(new RegExp(`Thaw: .*\\n +at .*app/${path}/route\\.ts:\\d+:\\d+`))
})

test('withThaw around a page is refused, and named', async () => {
  const page = `import { withThaw } from '@thaw/next'
    import { connection } from 'next/server'
    export default withThaw(async function WrappedPage(_: { searchParams: Promise<object> }) { await connection(); return <p>never</p> })`
  expect((await add('wrapped/page.tsx', page)).status).toBe(500)
  expect(next.output).toContain('withThaw() wraps a page or a layout (WrappedPage)')
})
