/**
 * Cloudflare Workers, in workerd itself.
 *
 * What breaks: a socket belongs to the request that opened it. A pool for all requests hands the second one the first one's connection, and that
 * waits for ever: pg's socket swallows what the runtime has to say of it. The runtime cancels the request when it finds that nothing can end the wait. With
 * Thaw nothing is seen.
 */

import { IDEMPOTENCY_SQL } from '@thaw/pg'
import {
  type FaultProxy,
  type PostgresServer,
  sessionsOf,
  startFaultProxy,
  startPostgres,
  terminateSessions,
  waitForSessions,
} from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Answer, startWorker, type Worker } from './workers.ts'

const APP = 'worker'
/** Hundreds of requests take seconds, or, on a machine with much else to do, minutes. */
const PATIENCE_MILLIS = 300_000
/** Enough to call it hanging: the others answer in milliseconds. */
const HANGING_MILLIS = 5_000
const HUNG = { status: 500, body: expect.stringContaining("your Worker's code had hung") }
const MIXED = { status: 200, body: { connections: expect.any(Number), total: expect.any(Number) } }

let server: PostgresServer
let proxy: FaultProxy
let worker: Worker
/** Of an object that has used its pool once. It takes the ten seconds for which an object must have been idle: other tests run meanwhile. */
let hibernated: Promise<number>

beforeAll(async () => {
  // Fifty requests at once may have five each.
  server = await startPostgres({ tls: true, settings: { max_connections: 300 } })
  proxy = await startFaultProxy(server)
  await server.query('CREATE TABLE done (token text NOT NULL)')
  await server.query(IDEMPOTENCY_SQL)
  worker = await startWorker('app.ts', bindings())
  hibernated = hibernate('thaw-sleeping')
})
afterAll(async () => {
  await hibernated
  await worker[Symbol.asyncDispose]()
  await proxy.close()
  await server.close()
})

function bindings(): Parameters<typeof startWorker>[1] {
  return {
    vars: { DATABASE_URL: `${proxy.urlFor(server.url)}?application_name=${APP}` },
    // The name, because Hyperdrive verifies what the certificate is for.
    hyperdrive: [
      {
        binding: 'HYPERDRIVE',
        id: '0'.repeat(32),
        localConnectionString: `${server.url.replace('127.0.0.1', 'localhost')}?sslmode=require`,
      },
    ],
    durable_objects: {
      bindings: [
        { name: 'COUNTER', class_name: 'Counter' },
        { name: 'WRAPPED_COUNTER', class_name: 'WrappedCounter' },
      ],
    },
    migrations: [{ tag: 'v1', new_sqlite_classes: ['Counter', 'WrappedCounter'] }],
    services: [{ binding: 'REPORT', service: 'thaw', entrypoint: 'Report' }],
    workflows: [{ name: 'ordering', binding: 'ORDERING', class_name: 'Ordering' }],
    queues: { producers: [{ binding: 'QUEUE', queue: 'jobs' }], consumers: [{ queue: 'jobs', max_batch_timeout: 0 }] },
  }
}

async function hibernate(name: string): Promise<number> {
  const { body } = await worker.get(`/object/${name}`)
  await worker.harness.getWorker().evictDurableObject('COUNTER', { name, webSockets: 'hibernate' })
  return (body as { pid: number }).pid
}

const repeat = <Value>(times: number, work: () => Promise<Value>): Promise<Value[]> => Promise.all(Array.from({ length: times }, work))

async function isDone(token: string): Promise<void> {
  await expect.poll(async () => (await server.query('SELECT FROM done WHERE token = $1', [token])).rowCount).toBe(1)
}

test('plain pg: a pool for all requests answers the first, and hangs on the second', async () => {
  expect(await worker.get('/pg/ping')).toEqual({ status: 200, body: { pid: expect.any(Number) } })
  expect(await worker.get('/pg/ping')).toEqual(HUNG)
})

test(
  'Thaw: a pool for all requests answers 200, one after the other, and leaves no session behind',
  async () => {
    const answers: Answer[] = []
    for (let n = 0; n < 200; n++) answers.push(await worker.get('/thaw/ping'))
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    // The runtime closes what the last request had.
    await waitForSessions(server, APP, 0)
  },
  PATIENCE_MILLIS,
)

describe.each(['transaction', 'once', 'batch', 'key'])('a write to be applied once, by %s, in requests of their own', (kind) => {
  test.each([
    ['loseNextRequest', kind === 'transaction' || kind === 'once' ? 'COMMIT' : 'INTO done'],
    ['loseNextAnswer', kind === 'transaction' || kind === 'once' ? 'COMMIT' : 'INTO done'],
  ] as const)('%s of %s is stored once', async (lose, containing) => {
    // Another request has learned that the table of keys is there.
    const apply = (token: string) => worker.get(`/wrapped/apply?kind=${kind}&token=${token}`)
    expect((await apply(`${kind}-${lose}-before`)).status).toBe(200)
    const token = `${kind}-${lose}`
    const lost = proxy[lose]({ containing })
    expect(await apply(token)).toEqual({ status: 200, body: { rows: [{ token }] } })
    await lost.struck
    expect((await server.query('SELECT FROM done WHERE token = $1', [token])).rowCount).toBe(1)
  })
})

describe.for(['thaw', 'wrapped'])('a pool for all requests, on %s', (driver) => {
  test('answers 50 requests at once, each with connections of its own', async () => {
    const answers = await repeat(50, () => worker.get(`/${driver}/mixed`))
    expect(answers).toEqual(answers.map(() => MIXED))
    await waitForSessions(server, APP, 0)
  })

  test('opens five connections for a request, and no more', async () => {
    expect(await worker.get(`/${driver}/crowd`)).toEqual({ status: 200, body: { max: 5, total: 5 } })
  })

  test('keeps a connection to the end of a streamed body', async () => {
    const { body } = await worker.get(`/${driver}/stream`)
    const pids = String(body).trim().split(' ')
    expect({ chunks: pids.length, connections: new Set(pids).size }).toEqual({ chunks: 5, connections: 1 })
  })

  test('works for what goes on after the response', async () => {
    expect((await worker.get(`/${driver}/later?token=${driver}`)).status).toBe(200)
    await isDone(driver)
  })

  test('goes on when a connection is lost', async () => {
    const lost = { name: 'ConnectionLostError', kind: 'connection-lost', message: expect.stringContaining('was lost') }
    expect(await worker.get(`/${driver}/killed`)).toEqual({ status: 200, body: { error: lost, after: true } })
  })

  test('opens new connections after end(), which ends those of the request alone', async () => {
    expect(await worker.get(`/${driver}/ended`)).toEqual({ status: 200, body: { same: false } })
  })
})

describe('a Durable Object', () => {
  const pidOf = async (path: string) => ((await worker.get(path)).body as { pid?: number }).pid

  test('plain pg: a pool for all objects hangs in the second', async () => {
    expect(await pidOf('/object/pg-1')).toBeGreaterThan(0)
    expect(await pidOf('/object/pg-1')).toBeGreaterThan(0)
    // The runtime does not find out about objects.
    await expect(worker.get('/object/pg-2', HANGING_MILLIS)).rejects.toThrow(/aborted|timeout/i)
  })

  test('Thaw: each object keeps one connection of its own through its requests', async () => {
    const pids: (number | undefined)[] = []
    for (const name of ['thaw-1', 'thaw-2', 'thaw-1', 'thaw-2']) pids.push(await pidOf(`/object/${name}`))
    expect(pids).toEqual([pids[0], pids[1], pids[0], pids[1]])
    expect(pids[0]).not.toBe(pids[1])
  })

  test('opens another when it is back from hibernation, for which the pool had to close the first', async () => {
    const before = await hibernated
    const { status, body } = await worker.get('/object/thaw-sleeping')
    expect({ status, isAnother: (body as { pid: number }).pid !== before }).toEqual({ status: 200, isAnother: true })
  })

  test.for<[how: string, strike: () => unknown]>([
    ['ended by the server', () => terminateSessions(server, APP)],
    ['silently dropped', () => proxy.cut('drop')],
  ])('asks before it uses a connection that was %s meanwhile', async ([, strike]) => {
    const before = await pidOf('/object/asking')
    await strike()
    const { status, body } = await worker.get('/object/asking')
    expect({ status, isAnother: (body as { pid: number }).pid !== before }).toEqual({ status: 200, isAnother: true })
  })

  test('closes an idle connection: with one open the object could not hibernate', async () => {
    const pid = await pidOf('/object/brief')
    await expect.poll(async () => (await sessionsOf(server, APP)).some((session) => session.pid === pid)).toBe(false)
    expect(await worker.get('/object/brief')).toMatchObject({ status: 200, body: { idle: 1 } })
  })

  test('wrapped: its methods are invocations, with one connection, and private members', async () => {
    const [first, second] = [await worker.get('/wrapped-object'), await worker.get('/wrapped-object')]
    expect([first.body, second.body]).toEqual([1, 2].map((calls) => ({ calls, id: expect.stringMatching(/^thaw-/), pids: 1 })))
  })
})

describe('Hyperdrive', () => {
  test('a binding is all that the pool needs, and its connection to the server is encrypted', async () => {
    expect(await worker.get('/thaw/hyperdrive')).toEqual({ status: 200, body: { ssl: true, version: 'TLSv1.3' } })
  })
})

describe('withThaw', () => {
  test('each request is an invocation, whatever calls the handler', async () => {
    const ids = [await worker.get('/wrapped/invocation'), await worker.get('/hono/invocation'), await worker.get('/entrypoint')]
    expect(ids.map(({ status, body }) => [status, typeof (body as { id: string }).id])).toEqual([
      [200, 'string'],
      [200, 'string'],
      [200, 'string'],
    ])
    expect(await worker.get('/thaw/invocation')).toEqual({ status: 200, body: {} })
  })

  test('wraps scheduled, queue and email', async () => {
    const { scheduled, email } = worker.harness.getWorker()
    await scheduled({})
    await isDone('scheduled')
    await worker.get('/send/queued')
    await isDone('queued')
    const raw = 'From: sender@example.com\r\nTo: to@example.com\r\nMessage-ID: <1@example.com>\r\n\r\nHello'
    await email({ from: 'sender@example.com', to: 'to@example.com', raw })
    await isDone('sender@example.com')
  })

  test('wraps a workflow: run() is an invocation, and its steps, which the runtime calls outside of it, use the pool too, and write once with a key', async () => {
    const output = { id: expect.stringMatching(/^thaw-/), inStep: 'none' }
    const state = async () => (await worker.get('/order/ice')).body
    await expect.poll(state, { timeout: 30_000 }).toMatchObject({ status: 'complete', output })
    const { rows } = await server.query("SELECT token FROM done WHERE token LIKE 'ice %' ORDER BY token")
    expect(rows.map(({ token }) => token)).toEqual(['ice charged', 'ice reserved', 'ice sent'])
  })

  test('leaves to a task the client that it has', async () => {
    await worker.get('/wrapped/later-still')
    await isDone('later still')
    await worker.get('/wrapped-object-later')
    await isDone('of an object')
  })

  test('reports a client that was not released, with its place', async () => {
    expect((await worker.get('/wrapped/stream')).status).toBe(200)
    expect((await worker.get('/wrapped/leak')).status).toBe(200)
    await expect.poll(() => worker.logs()).toMatch(/a client was not released[\s\S]*at Object\.leak/)
    expect(worker.logs()).not.toMatch(/at Object\.stream/)
  })
})

describe('a database that is away', () => {
  test('plain pg: the request fails at once', async () => {
    proxy.away()
    try {
      expect(await worker.get('/pg/new')).toMatchObject({ status: 500, body: { message: expect.stringContaining('cannot connect') } })
    } finally {
      await proxy.accept()
    }
  })

  test('Thaw: retries until it is back', async () => {
    expect((await worker.get('/thaw/ping')).status).toBe(200)
    proxy.away()
    const retries = async () => ((await worker.get('/thaw/stats')).body as { retried: number }).retried
    const before = await retries()
    const answer = worker.get('/thaw/ping')
    await expect.poll(retries).toBeGreaterThan(before)
    await proxy.accept()
    expect(await answer).toEqual({ status: 200, body: { pid: expect.any(Number) } })
  })

  test('Thaw: an address that has never answered is given up soon, with what was tried', async () => {
    const told = {
      name: 'ConnectError',
      kind: 'connect',
      message: expect.stringMatching(/Could not connect to .*127\.0\.0\.1:1 \(\d+ attempts/),
    }
    expect(await worker.get('/thaw/nowhere')).toEqual({ status: 500, body: told })
  })
})

describe('an ORM', () => {
  test('is made at module level, too', async () => {
    expect(await worker.get('/thaw/drizzle')).toEqual({ status: 200, body: { rows: [{ one: 1 }] } })
    await worker.get('/thaw/rolledBack')
    expect((await server.query("SELECT FROM done WHERE token = 'rolled back'")).rowCount).toBe(0)
  })
})

test('what was counted in one request is remembered in the next', async () => {
  const [first, second] = [await worker.get('/thaw/stats'), await worker.get('/thaw/ping').then(() => worker.get('/thaw/stats'))]
  const counted = ({ body }: Answer) => body as { connected: number; acquired: number; total: number }
  expect(counted(second).connected).toBe(counted(first).connected + 1)
  expect(counted(second).total).toBe(0)
})

describe('bad use', () => {
  const told = (name: string, message: RegExp) => ({
    status: 500,
    body: { name, kind: expect.any(String), message: expect.stringMatching(message) },
  })

  test('a client of one request in another one: an error that names the fix, where plain pg hangs', async () => {
    await worker.get('/thaw/hold')
    expect(await worker.get('/thaw/use-held')).toEqual(told('ScopeError', /opened by a different one\..*pool\.query\(\)/))
    await worker.get('/pg/hold-client')
    expect(await worker.get('/pg/use-held-client')).toEqual(HUNG)
    await worker.get('/thaw/hold-client')
    expect(await worker.get('/thaw/use-held-client')).toEqual(told('ScopeError', /opened by a different one/))
  })

  test('a query in the global scope', async () => {
    expect(await worker.get('/thaw/at-global-scope')).toEqual(told('ScopeError', /global scope.*into a handler/))
  })

  test('a binding, or a variable, that is not there', async () => {
    expect(await worker.get('/thaw/missing')).toEqual(
      told('OptionError', /nothing to connect to.*undefined.*DATABASE_URL.*wrangler\.jsonc/),
    )
    expect(await worker.get('/thaw/empty')).toEqual(told('OptionError', /nothing to connect to.*wrangler\.jsonc/))
  })
})
