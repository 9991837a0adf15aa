/** The app as it is deployed: built, and served by `next start`. */

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { sessionsOf, waitForSessions } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { build, type LocalApp, startLocally } from './local/local.ts'

let app: LocalApp

beforeAll(async () => {
  await build()
  app = await startLocally('start')
})
afterAll(() => app?.[Symbol.asyncDispose]())

const get = (path: string, init?: RequestInit) => fetch(`${app.url}${path}`, init)
const post = (order: object) => get('/api/orders', { method: 'POST', body: JSON.stringify(order) })

/** Sends the form that has the button of this class, as a browser without JavaScript does. */
async function submit(form: string, values: Readonly<Record<string, string>> = {}): Promise<string> {
  const page = await (await get('/')).text()
  const [, fields = ''] = new RegExp(`<form[^>]*class="${form}"[^>]*>(.*?)</form>`, 's').exec(page) ?? []
  const body = new FormData()
  for (const [, name = '', value = ''] of fields.matchAll(/<input type="hidden" name="([^"]+)"(?: value="([^"]*)")?/g))
    body.set(name, value.replaceAll('&quot;', '"').replaceAll('&amp;', '&'))
  for (const [name, value] of Object.entries(values)) body.set(name, value)
  return (await get('/', { method: 'POST', body })).text()
}

test('takes orders by its API, its form, and shows them', async () => {
  const placed = await post({ item: 'Honey', quantity: 2 })
  expect(placed.status).toBe(201)
  expect(await placed.json()).toMatchObject({ id: 1, item: 'Honey', quantity: 2, cents: 1440 })
  const page = await submit('order', { item: 'Rye bread', quantity: '3' })
  expect(page).toContain('Order 2: 3 × Rye bread. Thank you.')
  expect(page).toMatch(/<td>2<\/td><td>Rye bread<\/td>.*<td>1<\/td><td>Honey<\/td>/s)
  expect(await (await get('/api/orders/2')).json()).toMatchObject({ item: 'Rye bread' })
  expect((await (await get('/api/export')).text()).trim().split('\n')).toHaveLength(2)
})

test('says what is wrong with an order', async () => {
  for (const order of [{}, { item: 'Gold' }, { item: 'Honey', quantity: 0 }, { item: 'Honey', quantity: 'two' }]) {
    const answer = await post(order)
    expect([answer.status, Object.keys((await answer.json()) as object)]).toEqual([400, ['error']])
  }
  expect(await submit('order', { item: 'Honey', quantity: '100' })).toContain('Order 1 to 99 pieces.')
  for (const id of ['99', 'x', '1e3']) expect((await get(`/api/orders/${id}`)).status).toBe(404)
})

test('survives being frozen and cut', async () => {
  expect(await submit('freeze')).toMatch(/Frozen for 1\.0 s, [1-5] connections cut\. Then 50 queries at once: 0 failed, [1-5] dials/)
})

test('has one pool for its pages and routes, and leaves no session when it is stopped', async () => {
  expect((await sessionsOf(app.server, 'app-vercel')).length).toBeLessThanOrEqual(5)
  await app.stop()
  await waitForSessions(app.server, 'app-vercel', 0)
  expect(app.output).not.toContain('Thaw:')
})

test('sends its spans and metrics to a collector, where one is named', async () => {
  let sent = ''
  const collector = createServer(async (request, response) => {
    sent += await text(request)
    response.setHeader('content-type', 'application/json').end('{}')
  }).listen(0, '127.0.0.1')
  await once(collector, 'listening')
  const endpoint = `http://127.0.0.1:${(collector.address() as AddressInfo).port}`
  try {
    await using traced = await startLocally('start', 0, { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint })
    expect((await fetch(`${traced.url}/api/orders/1`)).status).toBe(404)
    await vi.waitFor(() => expect(sent).toContain('db.client.connection.use_time'), 30_000)
    expect(sent).toMatch(/"name":"GET \/api\/orders.*"name":"pg.query"|"name":"pg.query".*"name":"GET \/api\/orders/)
  } finally {
    collector.close()
    collector.closeAllConnections()
  }
})
