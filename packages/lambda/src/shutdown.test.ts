/** The hook before the freeze, played against: an Extensions API whose answers come when a test says so. */

import { EventEmitter, once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Context } from 'aws-lambda'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { EndablePool } from './index.ts'

type Asked = { readonly give: (requestId: string) => void }

/** Requests for the next event, in order. */
let asked: Asked[] = []
let waiting: ((asked: Asked) => void) | undefined
let closed = 0
const warn = vi.spyOn(console, 'warn').mockReturnValue()

const server = createServer((request: IncomingMessage, response: ServerResponse) => {
  if (request.url === '/ping') return response.end()
  if (request.url?.endsWith('/register')) return response.setHeader('lambda-extension-identifier', 'id').end('{}')
  const one = { give: (requestId: string) => void response.end(JSON.stringify({ eventType: 'INVOKE', requestId })) }
  if (waiting) waiting(one)
  else asked.push(one)
  waiting = undefined
  return response
})

/** The next time that the extension asks: it is done with the last event. */
const nextAsk = (): Promise<Asked> =>
  new Promise((resolve) => {
    const first = asked.shift()
    if (first) resolve(first)
    else waiting = resolve
  })

/** What was sent before has arrived: this goes to the same server and back, later. */
const heard = async (): Promise<void> => {
  for (let n = 0; n < 3; n++) await (await fetch(`http://${process.env.AWS_LAMBDA_RUNTIME_API}/ping`)).text()
}

const context = (id: string) => ({ awsRequestId: id, getRemainingTimeInMillis: () => 3000 }) as Context

/** A pool with no idle connection. Counts how often its idle list was read, to close it. */
const idle = {
  get idleCount() {
    closed++
    return 0
  },
  connect: () => expect.unreachable(),
  end: async () => {},
}

/** The package, with the memory of a new process. */
async function load(pool: EndablePool = idle) {
  vi.resetModules()
  const { registerShutdown, withThaw } = await import('./index.ts')
  await registerShutdown(pool, { beforeFreeze: true })
  return withThaw
}

beforeEach(async () => {
  asked = []
  closed = 0
  warn.mockClear()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  vi.stubEnv('AWS_LAMBDA_RUNTIME_API', `127.0.0.1:${(server.address() as AddressInfo).port}`)
})
afterEach(async () => {
  vi.unstubAllEnvs()
  server.closeAllConnections()
  server.close()
  await once(server, 'close')
})

test('connections are closed when the handler has ended', async () => {
  const withThaw = await load()
  const first = await nextAsk()
  let finish = () => {}
  const handler = withThaw(
    (_event: unknown, _context: Context) =>
      new Promise<void>((resolve) => {
        finish = resolve
      }),
  )
  const served = handler({}, context('a'))
  first.give('a')
  const second = nextAsk()
  await heard()
  expect(closed).toBe(0)
  finish()
  await Promise.all([served, second])
  expect([closed, warn.mock.calls]).toEqual([1, []])
})

test('also when it ended before the extension had heard of it', async () => {
  const withThaw = await load()
  const first = await nextAsk()
  await withThaw(async (_event: unknown, _context: Context) => {})({}, context('a'))
  first.give('a')
  await nextAsk()
  expect([closed, warn.mock.calls]).toEqual([1, []])
})

test('not before the outermost of several wrappers has ended', async () => {
  const withThaw = await load()
  const first = await nextAsk()
  let finish = () => {}
  const inner = withThaw(async (_event: unknown, _context: Context) => {})
  const outer = withThaw(async (event: unknown, given: Context) => {
    await inner(event, given)
    await new Promise<void>((resolve) => {
      finish = resolve
    })
  })
  const served = outer({}, context('a'))
  first.give('a')
  const second = nextAsk()
  await heard()
  expect(closed).toBe(0)
  finish()
  await Promise.all([served, second])
  expect([closed, warn.mock.calls]).toEqual([1, []])
})

test('without the wrapper nothing is closed: it says so, and lets Lambda freeze the process from then on', async () => {
  await load()
  for (const id of ['a', 'b']) (await nextAsk()).give(id)
  await nextAsk()
  expect([closed, warn.mock.calls.length]).toEqual([0, 1])
})

test('a server that never says goodbye holds nothing up for long', async () => {
  const client = new EventEmitter()
  const dead = { release() {}, connection: { stream: { destroy: () => client.emit('end') } } }
  const withThaw = await load({ idleCount: 1, connect: async () => Object.assign(client, dead), end: async () => {} })
  const first = await nextAsk()
  await withThaw(async (_event: unknown, _context: Context) => {})({}, context('a'))
  first.give('a')
  await nextAsk()
})

test('it need not be awaited: the request leaves before anything else can, and a wrong option is told at once', async () => {
  vi.resetModules()
  const { OptionError, registerShutdown } = await import('./index.ts')
  expect(() => registerShutdown(idle, { beforeFrezze: true } as never)).toThrow(OptionError)
  const heardOf: (string | undefined)[] = []
  server.on('request', ({ url }: IncomingMessage) => heardOf.push(url?.split('/').at(-1)))
  const registered = registerShutdown(idle)
  // As AWS's own loop does once the module is loaded.
  setImmediate(() => void fetch(`http://${process.env.AWS_LAMBDA_RUNTIME_API}/ping`))
  expect(await registered).toBe(true)
  await heard()
  expect(heardOf[0]).toBe('register')
})
