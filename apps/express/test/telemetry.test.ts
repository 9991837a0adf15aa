/** With `OTEL_EXPORTER_OTLP_ENDPOINT` the app sends spans and metrics there; without, nothing of it runs. */

import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import type { PostgresServer } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { customerOf } from './customer.ts'
import { environmentOf, startDatabase } from './database.ts'
import { startOnLaptop } from './running-app.ts'

interface SentSpan {
  readonly name: string
  readonly spanId: string
  readonly parentSpanId?: string
}

/** What a collector is sent, as far as it is looked at here. */
interface Sent {
  readonly resourceSpans?: { scopeSpans: { spans: SentSpan[] }[] }[]
  readonly resourceMetrics?: { scopeMetrics: { metrics: { name: string }[] }[] }[]
}

let server: PostgresServer
let collector: Server
const sent: Sent[] = []

beforeAll(async () => {
  server = await startDatabase()
  collector = createServer(async (request, response) => {
    sent.push((await json(request)) as Sent)
    response.setHeader('content-type', 'application/json').end('{}')
  }).listen(0, '127.0.0.1')
  await once(collector, 'listening')
})
afterAll(async () => {
  collector.close()
  collector.closeAllConnections()
  await server.close()
})

test('a request is a span, with its statements below it, and the pool is measured', async () => {
  const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`
  await using app = await startOnLaptop('thaw', { ...environmentOf(server, server), OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })
  await customerOf(app).register()
  const spans = () =>
    sent.flatMap(({ resourceSpans = [] }) => resourceSpans.flatMap((one) => one.scopeSpans.flatMap((scope) => scope.spans)))
  const metrics = () =>
    sent.flatMap(({ resourceMetrics = [] }) =>
      resourceMetrics.flatMap((one) => one.scopeMetrics.flatMap((scope) => scope.metrics.map(({ name }) => name))),
    )
  await vi.waitFor(() => expect(metrics()).toContain('db.client.connection.use_time'), 30_000)
  const request = spans().find(({ name }) => name === 'POST /register')
  expect(request).toBeDefined()
  expect(spans().filter(({ name }) => name === 'pg.query')).toMatchObject([{ parentSpanId: request?.spanId }])
  expect(app.stderr).toBe('')
})

test('without it, nothing is sent', async () => {
  sent.length = 0
  await using app = await startOnLaptop('thaw', environmentOf(server, server))
  await customerOf(app).register()
  process.kill(app.pid, 'SIGTERM')
  expect(await app.exited).toBe(0)
  expect(sent).toEqual([])
})
