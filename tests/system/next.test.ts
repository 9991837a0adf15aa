/** What takes too long for every day: Next.js built by webpack, and its Edge runtime. */

import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import {
  type FaultProxy,
  type PostgresServer,
  startFaultProxy,
  startNeon,
  startPostgres,
  terminateSessions,
  waitForSessions,
} from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { until } from '../faults/until.ts'
import { read } from '../house/repository.ts'
import { snippetsOf } from '../house/snippets.ts'
import { packAll } from '../package/packed.ts'
import { freezeAndWake, MAX } from '../platforms/next-freeze.ts'
import { type AppCopy, buildApp, copyApp, startNext } from '../platforms/next-server.ts'
import { createProject } from './project.ts'

vi.setConfig({ testTimeout: 600_000 })

/** As npm installs them for a new app. */
const NEWCOMERS = {
  '@thaw/next': 'packed',
  '@thaw/pg': 'packed',
  '@types/node': '24.10.1',
  '@types/pg': '8.23.1',
  '@types/react': '19.3.0',
  next: '16.4.6',
  pg: '8.23.1',
  react: '19.3.1',
  'react-dom': '19.3.1',
  typescript: '5.9.3',
}
const LAYOUT = `import type { ReactNode } from 'react'
export default function Layout({ children }: { children: ReactNode }) { return <html lang="en"><body>{children}</body></html> }`

let server: PostgresServer
let proxy: FaultProxy
let app: AppCopy

beforeAll(async () => {
  ;[server, app] = await Promise.all([startPostgres(), copyApp()])
  proxy = await startFaultProxy(server)
  await server.query('CREATE TABLE orders (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, item text NOT NULL)')
})
afterAll(async () => {
  await proxy.close()
  await server.close()
  await app[Symbol.asyncDispose]()
})

test('built by webpack it has one pool, and no request fails across a freeze', async () => {
  await buildApp(app.folder, 'webpack')
  await using next = await startNext(app.folder, 'start', { DATABASE_URL: proxy.urlFor(server.url), APP_NAME: 'webpack' })
  expect((await fetch(`${next.url}/api/orders/thaw`)).status).toBe(200)
  expect((await fetch(`${next.url}/orders`)).status).toBe(200)
  await waitForSessions(server, 'webpack-thaw', 1)
  expect((await freezeAndWake({ next, name: 'webpack', server, proxy }, 'pg')).failed).toBeGreaterThan(0)
  const { struck, dials, failed } = await freezeAndWake({ next, name: 'webpack', server, proxy }, 'thaw')
  expect(failed).toBe(0)
  expect(struck).toBeGreaterThanOrEqual(MAX)
  expect(dials).toBeLessThanOrEqual(MAX)
  expect(next.output).not.toContain('Thaw:')
})

test('docs/start/next.md, as it stands: a route, a server action and after() answer, also when their connections have died', async () => {
  const page = 'docs/start/next.md'
  const snippets = snippetsOf(page, await read(page))
  const code = (text: string) => snippets.find((snippet) => snippet.code.includes(text))?.code ?? ''
  const folders = {
    'read/[id]': { 'route.ts': code('context.params') },
    visit: { 'route.ts': code('after(') },
    form: {
      'actions.ts': code("'use server'\n"),
      'page.tsx': "import { order } from './actions'\nexport default () => <form action={order}><input name='item' /></form>",
    },
  }
  const files: Record<string, string> = { 'app/layout.tsx': LAYOUT }
  for (const [folder, own] of Object.entries(folders))
    for (const [file, text] of Object.entries({ 'db.ts': code('onePool('), ...own })) files[`app/${folder}/${file}`] = text
  await using packed = await packAll()
  await using project = await createProject({ packed, dependencies: NEWCOMERS, files })
  // It writes its own tsconfig.json first, and checks the types by it.
  await project.run(['next', 'build'])
  await server.query('CREATE TABLE visits (item text)')
  await server.query("INSERT INTO orders OVERRIDING SYSTEM VALUE VALUES (700, 'ice')")

  const name = 'next-page'
  const serve = ['next', 'start', '--hostname', '127.0.0.1', '--port', 'PORT']
  await using next = await project.serve(serve, { DATABASE_URL: `${server.url}?application_name=${name}` })
  const strike = async () => {
    await terminateSessions(server, name)
    await waitForSessions(server, name, 0)
  }
  for (const _ of [1, 2]) {
    const answer = await fetch(`${next.url}/read/700`)
    expect(await answer.json(), next.output).toEqual([{ id: 700, item: 'ice' }])
    await strike()
  }
  const visit = await fetch(`${next.url}/visit`, { method: 'POST', body: JSON.stringify({ item: 'tea' }) })
  expect(visit.status, next.output).toBe(201)
  await until('the visit is stored', async () => (await server.query("SELECT FROM visits WHERE item = 'tea'")).rowCount === 1)
  await strike()
  // As a browser without JavaScript sends the form.
  const [, action = ''] = /name="(\$ACTION_ID_[^"]+)"/.exec(await (await fetch(`${next.url}/form`)).text()) ?? []
  const body = new FormData()
  body.set(action, '')
  body.set('item', 'coffee')
  const sent = await fetch(`${next.url}/form`, { method: 'POST', body, headers: { origin: next.url } })
  expect(sent.status, next.output).toBe(200)
  expect((await server.query("SELECT FROM orders WHERE item = 'coffee'")).rowCount).toBe(1)
})

describe.each(['turbopack', 'webpack'])('the Edge runtime under %s', (bundler) => {
  test('is refused by @thaw/pg, and has withThaw', async () => {
    await using edge = await copyApp()
    const route = async (name: string, code: string) => {
      await mkdir(join(edge.folder, 'app', name))
      await writeFile(join(edge.folder, 'app', name, 'route.ts'), `export const runtime = 'edge'\n${code}`)
    }
    await route(
      'edge-pg',
      "import { Pool } from '@thaw/pg'\nexport const GET = async () => Response.json(await new Pool().query('select 1'))",
    )
    await route(
      'edge',
      `import { invocation, withThaw } from '@thaw/next'
       export const GET = withThaw(async () => { await null; return Response.json(invocation()?.id) })`,
    )
    await using next = await startNext(edge.folder, 'dev', { DATABASE_URL: server.url, APP_NAME: 'edge' }, `--${bundler}`)
    expect((await fetch(`${next.url}/edge-pg`)).status).toBe(500)
    expect(next.output).toContain('Use the Pool of "@thaw/neon" there')
    expect(await (await fetch(`${next.url}/edge`)).json()).toMatch(/^thaw-\d+$/)
  })
})

test('an Edge route with a pool of @thaw/neon: bursts of requests are answered after pauses, as with one connection for each', async () => {
  await using neon = await startNeon()
  await using edge = await copyApp()
  await mkdir(join(edge.folder, 'app', 'edge-neon'))
  await writeFile(
    join(edge.folder, 'app', 'edge-neon', 'route.ts'),
    `import { neonConfig, Pool } from '@thaw/neon'
     Object.assign(neonConfig, ${JSON.stringify(neon.driver)})
     export const runtime = 'edge'
     const pool = new Pool({ connectionString: ${JSON.stringify(neon.url)} })
     pool.on('error', () => {})
     export async function GET() {
       const client = await pool.connect()
       try {
         await client.query('begin')
         const { rows } = await client.query('select 4 as n')
         await client.query('commit')
         return Response.json(rows)
       } finally {
         client.release()
       }
     }`,
  )
  await buildApp(edge.folder, 'turbopack')
  await using next = await startNext(edge.folder, 'start', { DATABASE_URL: server.url, APP_NAME: 'edge-neon' })
  for (let burst = 0; burst < 4; burst++) {
    const answers = await Promise.all(Array.from({ length: 6 }, async () => (await fetch(`${next.url}/edge-neon`)).text()))
    expect(answers, next.output).toEqual(Array(6).fill('[{"n":4}]'))
    // Longer than trustMillis: the idle connections are checked.
    await setTimeout(1500)
  }
})
