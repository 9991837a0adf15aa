/** What the app does with good and bad requests, with an answer that got lost, without a database; how it starts, and how it ends. */

import { execFile } from 'node:child_process'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import { SignJWT } from 'jose'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { customerOf, storedFor } from './customer.ts'
import { environmentOf, JWT_SECRET } from './database.ts'
import { type LaptopApp, startOnLaptop } from './running-app.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))
const run = promisify(execFile)

let server: PostgresServer
let proxy: FaultProxy
let app: LaptopApp
beforeAll(async () => {
  server = await startPostgres({ tls: true })
  proxy = await startFaultProxy(server)
  const env = environmentOf(server, proxy)
  await run(process.execPath, [join(ROOT, 'src/migrate.ts')], { env: { ...process.env, ...env } })
  app = await startOnLaptop('thaw', env)
})
afterAll(async () => {
  await app[Symbol.asyncDispose]()
  await proxy.close()
  await server.close()
})

test('an order is taken once by its key, and seen by its owner alone', async () => {
  const customer = customerOf(app)
  expect(await customer.register()).toMatchObject({ status: 201 })
  const first = await customer.order('tea', 'key 1')
  expect(first).toMatchObject({ status: 201, body: { item: 'tea', quantity: 1 } })
  expect(await customer.order('tea', 'key 1')).toEqual(first)
  expect(await customer.order('milk', 'key 1')).toMatchObject({ status: 422, body: { error: 'key-reused' } })
  expect(await customer.order('milk', 'key 2')).toMatchObject({ status: 201 })
  expect(await customer.orders()).toMatchObject([{ item: 'milk' }, { item: 'tea' }])
  const other = customerOf(app)
  await other.register()
  expect(await other.order('salt', 'key 1')).toMatchObject({ status: 201 })
  expect(await other.orders()).toMatchObject([{ item: 'salt' }])
})

describe('a bad request is told what is wrong with it', () => {
  const token = (secret: string) => new SignJWT({ sub: '1' }).setProtectedHeader({ alg: 'HS256' }).sign(new TextEncoder().encode(secret))
  const JSON_TYPE = { 'content-type': 'application/json' }
  const ITEM = '{ "item": "tea" }'

  test.each<[string, { path: string; headers?: Record<string, string>; body?: string }, number, string]>([
    ['an unknown path', { path: '/order' }, 404, 'POST /orders'],
    ['no JSON', { path: '/login', body: 'email=a' }, 415, 'application/json'],
    ['broken JSON', { path: '/login', headers: JSON_TYPE, body: '{ "email": ' }, 400, 'JSON'],
    ['too much', { path: '/login', headers: JSON_TYPE, body: JSON.stringify('a'.repeat(20_000)) }, 413, 'too large'],
    ['no email', { path: '/register', headers: JSON_TYPE, body: '{ "email": "me", "password": "12345678" }' }, 400, 'at email'],
    [
      'a short password',
      { path: '/register', headers: JSON_TYPE, body: '{ "email": "a@b.example", "password": "1" }' },
      400,
      'at password',
    ],
    ['a stranger', { path: '/login', headers: JSON_TYPE, body: '{ "email": "a@b.example", "password": "12345678" }' }, 401, 'no account'],
    ['no token', { path: '/orders' }, 401, 'Log in'],
    ['no valid token', { path: '/orders', headers: { authorization: 'Bearer e30.e30.' } }, 401, 'Log in'],
  ])('%s', async (_, { path, ...request }, status, words) => {
    const answer = await app.request(path, request)
    expect(answer).toEqual({ status, body: expect.stringContaining(words) })
    expect(JSON.parse(answer.body)).toEqual({ error: expect.any(String), message: expect.any(String) })
  })

  test.each<[string, { key?: string; body?: string }, number, string]>([
    ['no key', { body: ITEM }, 400, 'Idempotency-Key'],
    ['no item', { key: '1', body: '{}' }, 400, 'at item'],
    ['an item that no text can hold', { key: '1', body: '{ "item": "a\\u0000b" }' }, 400, 'null character'],
    ['no number', { key: '1', body: '{ "item": "tea", "quantity": "many" }' }, 400, 'at quantity'],
  ])('an order with %s', async (_, { key, body = '' }, status, words) => {
    const headers = { ...JSON_TYPE, authorization: `Bearer ${await token(JWT_SECRET)}`, ...(key ? { 'idempotency-key': key } : {}) }
    expect(await app.request('/orders', { headers, body })).toEqual({ status, body: expect.stringContaining(words) })
  })

  test('a token with another signature', async () => {
    const headers = { authorization: `Bearer ${await token('another user: 0123456789abcdef0')}` }
    expect(await app.request('/orders', { headers })).toMatchObject({ status: 401 })
  })

  test('an email that is taken, and a wrong password', async () => {
    const customer = customerOf(app)
    await customer.register()
    expect(await customer.register()).toMatchObject({ status: 409, body: { error: 'taken' } })
    const body = JSON.stringify({ email: customer.email, password: 'not hers' })
    expect(await app.request('/login', { headers: JSON_TYPE, body })).toMatchObject({ status: 401 })
  })
})

describe('an answer that was lost', () => {
  // A statement of the app with its parameters, inside TLS; probes and farewells are shorter.
  const LOST = { minBytes: 150, cut: 'rst' } as const

  async function loseTwo(app: LaptopApp, proxy: FaultProxy): Promise<object> {
    const customer = customerOf(app)
    await customer.login() // so that there is a connection
    const registration = proxy.loseNextAnswer(LOST)
    const registered = await customer.register()
    await registration.struck
    const { status: loggedIn } = await customer.login()
    const ordering = proxy.loseNextAnswer(LOST)
    const { status: ordered } = await customer.order('tea')
    await ordering.struck
    return { registered, loggedIn, ordered, stored: await storedFor(server, customer) }
  }

  test('costs an error on plain pg, and on Thaw only where the outcome is unknown', async () => {
    await using plainProxy = await startFaultProxy(server)
    await using plain = await startOnLaptop('pg', environmentOf(server, plainProxy))
    expect(await loseTwo(plain, plainProxy)).toMatchObject({ registered: { status: 500 }, loggedIn: 200, ordered: 500, stored: ['tea'] })
    expect(await loseTwo(app, proxy)).toMatchObject({
      registered: { status: 503, body: { error: 'outcome-unknown', message: expect.stringContaining('check before you retry') } },
      loggedIn: 200,
      ordered: 201,
      stored: ['tea'],
    })
  })
})

test.each([
  ['nothing', { DATABASE_URL: '', JWT_SECRET: '' }, 'DATABASE_URL is not set; JWT_SECRET is not set'],
  [
    'nonsense',
    { DATABASE_URL: 'mysql://localhost', DATABASE_CA: 'MIIE', JWT_SECRET: 'hush' },
    'DATABASE_URL is no URL of the form postgres://user:password@host:port/database; DATABASE_CA is no certificate in PEM format; JWT_SECRET has fewer than 32 characters',
  ],
])('with %s in its environment it does not start, and names what is missing, not what is there', async (_, env, words) => {
  const start = startOnLaptop('thaw', env)
  await expect(start).rejects.toThrow(words)
  await expect(start).rejects.not.toThrow(/mysql|MIIE|hush/)
})

test('Vercel can find and compile it', async () => {
  expect(await readFile(join(ROOT, 'src/app.ts'), 'utf8')).toMatch(/from 'express'[\s\S]*export default /)
  const folder = await mkdtemp(join(tmpdir(), 'app-express-'))
  // As the Vercel CLI does it (64.0): from a folder of its own, and any complaint ends the deployment.
  const compilerOptions = {
    noEmit: false,
    declaration: false,
    rewriteRelativeImportExtensions: true,
    noCheck: false,
    rootDir: ROOT,
    outDir: folder,
  }
  const config = { extends: join(ROOT, 'tsconfig.json'), compilerOptions, files: [join(ROOT, 'src/app.ts')], include: [] }
  await writeFile(join(folder, 'tsconfig.json'), JSON.stringify(config))
  await run(join(ROOT, '../../node_modules/.bin/tsc'), ['--project', folder])
  expect(await readdir(join(folder, 'src'))).toContain('database.js')
  await rm(folder, { recursive: true })
})

// Side by side: they wait more than they compute.
describe.concurrent('in a process of its own', () => {
  test('it says that nothing was done when no database can be reached', async ({ expect }) => {
    await using away = await startFaultProxy(server)
    await using app = await startOnLaptop('thaw', environmentOf(server, away))
    away.refuse()
    const response = await fetch(`${app.url}/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{ "email": "a@b.example", "password": "12345678" }',
    })
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '1'])
    expect(await response.json()).toEqual({ error: 'unavailable', message: expect.stringContaining('Nothing was done') })
  })

  test('it sends nothing to a server whose certificate it cannot verify', async ({ expect }) => {
    await using app = await startOnLaptop('thaw', { ...environmentOf(server, server), DATABASE_CA: '' })
    expect(await customerOf(app).login()).toMatchObject({ status: 500, body: { error: 'internal' } })
    await expect.poll(() => app.stderr).toContain('self-signed certificate')
  })

  test('at SIGTERM it answers what is open, and ends', async ({ expect }) => {
    await using app = await startOnLaptop('thaw', environmentOf(server, server))
    const customer = customerOf(app)
    await customer.register()
    const blocker = new pg.Client(server.url)
    await blocker.connect()
    await blocker.query('BEGIN')
    await blocker.query('LOCK TABLE orders')
    const order = customer.order('tea')
    await expect.poll(async () => (await blocker.query('SELECT FROM pg_locks WHERE NOT granted')).rowCount).toBe(1)
    process.kill(app.pid, 'SIGTERM')
    await expect.poll(() => fetch(app.url).catch((error: Error) => String(error.cause))).toContain('ECONNREFUSED')
    await blocker.query('COMMIT')
    await blocker.end()
    expect(await order).toMatchObject({ status: 201 })
    expect(await app.exited).toBe(0)
  })

  test('one command starts it with a database of its own, and Ctrl-C ends both', async ({ expect }) => {
    await using app = await startOnLaptop('thaw', { DATABASE_URL: '', JWT_SECRET: '' }, '../src/start.ts')
    expect(await customerOf(app).register()).toMatchObject({ status: 201 })
    process.kill(app.pid, 'SIGINT')
    expect(await app.exited).toBe(0)
  })
})
