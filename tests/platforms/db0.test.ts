/** db0 in a Worker: its own connector shares a connection between requests, which hangs from the second one on; the pool opens one for each. */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startWorker, type Worker } from './workers.ts'

const ANSWER = { status: 200, body: [{ one: 1 }] }

let server: PostgresServer
let worker: Worker

beforeAll(async () => {
  server = await startPostgres()
  worker = await startWorker('db0.ts', { vars: { DATABASE_URL: server.url } })
})
afterAll(async () => {
  await worker[Symbol.asyncDispose]()
  await server.close()
})

test("db0's own connector answers the first request only", async () => {
  expect(await worker.get('/own')).toEqual(ANSWER)
  expect(await worker.get('/own')).toMatchObject({ status: 500 })
})

test('on Thaw every request is answered, one after another and twenty at once', async () => {
  for (let request = 0; request < 5; request++) expect(await worker.get('/thaw')).toEqual(ANSWER)
  expect(await Promise.all(Array.from({ length: 20 }, () => worker.get('/thaw')))).toEqual(Array(20).fill(ANSWER))
})
