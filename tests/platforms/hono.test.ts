/** Hono in a Worker, as docs/start/hono.md has it. Plain `pg` in the module answers the first request; on Thaw all are answered, also when a connection dies. */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWorker, type Worker } from './workers.ts'

const ORDERS = [
  { id: 1, item: 'ice' },
  { id: 2, item: 'water' },
]
const ANSWER = { status: 200, body: ORDERS }

let server: PostgresServer
let worker: Worker

beforeAll(async () => {
  server = await startPostgres()
  await server.query("CREATE TABLE orders AS SELECT * FROM (VALUES (1, 'ice'), (2, 'water')) AS all_orders (id, item)")
  worker = await startWorker('hono.ts', { vars: { DATABASE_URL: server.url } })
})
afterAll(async () => {
  await worker[Symbol.asyncDispose]()
  await server.close()
})

test('plain pg in the module answers the first request, and not the next', async () => {
  expect(await worker.get('/plain')).toEqual(ANSWER)
  expect(await worker.get('/plain')).toMatchObject({ status: 500 })
})

test('on Thaw every request is answered, one after another and at once', async () => {
  for (let request = 0; request < 5; request++) expect(await worker.get('/orders')).toEqual(ANSWER)
  expect(await Promise.all(Array.from({ length: 10 }, () => worker.get('/orders')))).toEqual(Array(10).fill(ANSWER))
})

test('a connection that is terminated between two statements of a request fails none', async () => {
  expect(await worker.get('/terminated')).toEqual(ANSWER)
})

test.each(['/id', '/id?middleware'])('%s is an invocation, by withThaw or by the middleware', async (path) => {
  expect(await worker.get(path)).toEqual({ status: 200, body: expect.stringMatching(/^thaw-/) })
})
