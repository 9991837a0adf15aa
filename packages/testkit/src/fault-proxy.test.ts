import { connect, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { connectPlain, failureOf, type PlainClient } from '../fixtures/plain-client.ts'
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts'
import { type PostgresServer, startPostgres } from './postgres.ts'
import { sessionsOf, waitForSessions } from './sessions.ts'

// How long a query must hang until we believe that it hangs for ever; answers take a millisecond.
const HANG_MILLIS = 300
const HANGS = 'still waiting'

let server: PostgresServer
let proxy: FaultProxy
let application = 0

beforeAll(async () => {
  server = await startPostgres()
  await server.query('CREATE TABLE writes (id int)')
})
afterAll(() => server.close())
beforeEach(async () => {
  proxy = await startFaultProxy(server, { record: true })
  application++
  await server.query('TRUNCATE writes')
  return () => proxy.close()
})

const name = (): string => `app-${application}`
const dial = (config: pg.ClientConfig = {}): Promise<PlainClient> =>
  connectPlain({ connectionString: proxy.urlFor(server.url), application_name: name(), ...config })
const orHangs = (promise: Promise<unknown>): Promise<unknown> => Promise.race([promise, sleep(HANG_MILLIS, HANGS)])
const countWrites = async (): Promise<number> => (await server.query<{ count: number }>('SELECT count(*)::int FROM writes')).rows[0]?.count ?? -1
const INSERT = 'INSERT INTO writes SELECT 1 /* long enough for a request */'

describe('without a fault', () => {
  test('passes everything on, and counts it', async () => {
    await using plain = await dial()
    expect(proxy.counters).toMatchObject({ flowsOpened: 1, flowsClosed: 0, flights: 3, roundTrips: 3 })
    proxy.counters.reset()
    expect((await plain.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    // Query(4 + 1 + 16) out; RowDescription, DataRow, CommandComplete and ReadyForQuery back.
    expect(proxy.counters).toMatchObject({ flowsOpened: 0, chunksToServer: 1, bytesToServer: 21, roundTrips: 1, bytesLost: 0 })
    expect(proxy.counters.bytesToClient).toBeGreaterThan(40)
    await plain.client.end()
    await plain.ended
    await expect.poll(() => proxy.counters.flowsClosed).toBe(1)
    // The farewell is a flight that nobody answers.
    expect(proxy.counters).toMatchObject({ flights: 2, roundTrips: 1 })
    expect(plain.errors).toEqual([])
    await waitForSessions(server, name(), 0)
  })

  test('knows each flow, and what went over it', async () => {
    const seen: number[] = []
    const stop = proxy.onFlow((flow) => seen.push(flow.id))
    await using first = await dial()
    stop()
    await using second = await dial()
    expect(seen).toEqual([1])
    expect(proxy.flows.map(({ id, state }) => ({ id, state }))).toEqual([
      { id: 1, state: 'open' },
      { id: 2, state: 'open' },
    ])
    await second.client.query('SELECT 2')
    const [flow, busier] = proxy.flows
    expect(flow?.clientPort).toBe((first.client as unknown as { connection: { stream: Socket } }).connection.stream.localPort)
    expect(busier?.traffic.roundTrips).toBe(Number(flow?.traffic.roundTrips) + 1)
    const [question, answer] = busier?.chunks.slice(-2) ?? []
    expect(question).toMatchObject({ direction: 'to-server', bytes: 14, isLost: false })
    expect(question?.data.toString()).toContain('SELECT 2')
    expect(answer?.direction).toBe('to-client')
    expect(answer?.atMillis).toBeGreaterThanOrEqual(Number(question?.atMillis))
    await first.client.end()
    await expect.poll(() => flow?.state).toBe('closed')
    proxy.counters.reset()
    expect(proxy.flows).toEqual([busier])
  })

  test('carries megabytes both ways, in order, past a slow reader', async () => {
    const text = 'thaw '.repeat(1_000_000)
    await using plain = await dial()
    const { rows } = await plain.client.query('SELECT $1::text AS text', [text])
    expect(rows[0].text === text).toBe(true)
    expect(proxy.counters.bytesToClient).toBeGreaterThan(text.length)
  })

  test('lets one side finish while the other still talks', async () => {
    const echo = createServer({ allowHalfOpen: true }, (socket) => {
      let text = ''
      socket.on('data', (chunk) => (text += chunk))
      socket.on('end', () => socket.end(`you said ${text}`))
    })
    await new Promise<void>((resolve) => echo.listen(0, '127.0.0.1', resolve))
    await using half = await startFaultProxy({ host: '127.0.0.1', port: (echo.address() as { port: number }).port })
    const socket = connect({ host: half.host, port: half.port, allowHalfOpen: true })
    socket.end('this and goodbye')
    let answer = ''
    for await (const chunk of socket) answer += chunk
    expect(answer).toBe('you said this and goodbye')
    await expect.poll(() => half.counters.flowsClosed).toBe(1)
    echo.close()
  })

  test('passes on what the server does by itself', async () => {
    await using plain = await dial()
    await server.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [name()])
    await plain.ended
    expect(plain.errors[0]).toMatchObject({ code: '57P01' })
    expect(proxy.counters.struck.fin).toBe(0)
  })

  test('lets the server see a client that vanishes by RST', async () => {
    await using plain = await dial()
    const { stream } = (plain.client as unknown as { connection: { stream: Socket } }).connection
    stream.resetAndDestroy()
    await waitForSessions(server, name(), 0)
  })
})

describe('cut', () => {
  test('fin: the client hears of it at once, and its session ends', async () => {
    await using plain = await dial()
    expect(proxy.cut('fin')).toBe(1)
    await plain.ended
    expect(plain.errors.map((error) => error.message)).toEqual(['Connection terminated unexpectedly'])
    expect(proxy.counters.struck.fin).toBe(1)
    await waitForSessions(server, name(), 0)
    expect(proxy.cut('fin')).toBe(0)
  })

  test('fin: the client that writes all the same hears nothing but the FIN', async () => {
    await using plain = await dial()
    proxy.cut('fin')
    // Sent before the loop could turn: as a frozen process does that finds the FIN only later.
    expect(await failureOf(plain.client.query(INSERT))).toBe('Connection terminated unexpectedly')
    await expect.poll(() => proxy.counters.bytesLost).toBeGreaterThan(0)
    expect(await countWrites()).toBe(0)
  })

  test('rst: the client gets ECONNRESET', async () => {
    await using plain = await dial()
    expect(proxy.cut('rst')).toBe(1)
    await plain.ended
    expect(plain.errors[0]).toMatchObject({ code: 'ECONNRESET' })
    expect(proxy.counters).toMatchObject({ flowsClosed: 1, struck: { rst: 1 } })
    await waitForSessions(server, name(), 0)
  })

  test.each([
    ['fin-on-next-byte', 'Connection terminated unexpectedly'],
    ['rst-on-next-byte', 'ECONNRESET'],
  ] as const)('%s: nothing until the client sends, then %s; the server never sees it', async (kind, failure) => {
    await using plain = await dial()
    expect(proxy.cut(kind)).toBe(1)
    await waitForSessions(server, name(), 0)
    expect(plain.errors).toEqual([])
    expect(proxy.flows[0]?.state).toBe('armed')
    expect(proxy.counters.struck[kind]).toBe(0)
    expect(await failureOf(plain.client.query(INSERT))).toBe(failure)
    expect(proxy.counters.struck[kind]).toBe(1)
    expect(await countWrites()).toBe(0)
    await using next = await dial()
    expect((await next.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('drop: the query hangs, nobody is told, and new connections work', async () => {
    await using plain = await dial()
    expect(proxy.cut('drop')).toBe(1)
    const lost = plain.client.query(INSERT).catch((error: Error) => error.message)
    expect(await orHangs(lost)).toBe(HANGS)
    expect(plain.errors).toEqual([])
    expect(proxy.counters.struck.drop).toBe(1)
    expect(proxy.counters.bytesLost).toBeGreaterThan(INSERT.length)
    expect(await sessionsOf(server, name())).toMatchObject([{ state: 'idle' }])
    await using next = await dial()
    expect((await next.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    expect(await countWrites()).toBe(0)
  })

  test('drop: stays silent when the server ends the session, and when the client says goodbye', async () => {
    await using plain = await dial()
    proxy.cut('drop')
    await server.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [name()])
    await waitForSessions(server, name(), 0)
    expect(await orHangs(plain.client.end())).toBe(HANGS)
    expect(plain.errors).toEqual([])
    // The client has hung up, so there is nobody to be cut.
    expect(proxy.cut('rst')).toBe(0)
  })

  test('drop, then rst: a silence that ends', async () => {
    await using plain = await dial()
    proxy.cut('drop')
    const lost = failureOf(plain.client.query(INSERT))
    expect(proxy.cut('drop')).toBe(0)
    expect(proxy.cut('rst')).toBe(1)
    expect(await lost).toBe('ECONNRESET')
  })

  test('the server side closes or is held as told', async () => {
    await using plain = await dial()
    await using other = await dial()
    const [first, second] = proxy.flows
    expect(proxy.cut('rst', { flows: first ? [first] : [], server: 'hold' })).toBe(1)
    await plain.ended
    expect(second?.cut('drop', { server: 'close' })).toBe(true)
    await waitForSessions(server, name(), 1)
    expect(other.errors).toEqual([])
    // A held connection outlives its client, but not the proxy, even if its flow was forgotten by a reset meanwhile.
    proxy.counters.reset()
    await proxy.close()
    await waitForSessions(server, name(), 0)
  })

  test('one flow of many', async () => {
    await using first = await dial()
    await using second = await dial()
    expect(proxy.flows[0]?.cut('rst')).toBe(true)
    await first.ended
    expect((await second.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })
})

describe('new connections', () => {
  test('refuse: ECONNREFUSED, while open flows go on; accept: as before, on the same port', async () => {
    await using plain = await dial()
    proxy.refuse()
    proxy.refuse()
    expect(await failureOf(dial())).toBe('ECONNREFUSED')
    expect((await plain.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    await proxy.accept()
    await using next = await dial()
    expect((await next.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('deafen: accepted, and never answered', async () => {
    await using plain = await dial()
    await proxy.deafen()
    expect(await failureOf(dial({ connectionTimeoutMillis: HANG_MILLIS }))).toBe('timeout expired')
    expect(proxy.counters.struck.deaf).toBe(1)
    expect((await plain.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    await proxy.accept()
    await using next = await dial()
    expect((await next.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('away: refused, and cut', async () => {
    await using plain = await dial()
    expect(proxy.away()).toBe(1)
    await plain.ended
    expect(await failureOf(dial())).toBe('ECONNREFUSED')
    await proxy.accept()
    await using next = await dial()
    expect((await next.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('a target that is gone shows as RST', async () => {
    const gone = createServer()
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve))
    const { port } = gone.address() as { port: number }
    await new Promise((resolve) => gone.close(resolve))
    await using nowhere = await startFaultProxy({ host: '127.0.0.1', port })
    expect(await failureOf(connectPlain({ connectionString: nowhere.urlFor(server.url) }))).toBe('ECONNRESET')
  })

  test('a port that is taken', async () => {
    expect(await failureOf(startFaultProxy(server, { port: proxy.port }))).toBe('EADDRINUSE')
  })
})

describe('delay', () => {
  test('holds each way back, in order', async () => {
    await using plain = await dial()
    proxy.setDelay({ toServerMillis: 40, toClientMillis: 30 })
    const before = performance.now()
    await plain.client.query('SELECT 1')
    expect(performance.now() - before).toBeGreaterThanOrEqual(69)
    const first = plain.client.query('SELECT 1 AS n')
    proxy.setDelay({ toServerMillis: 1 })
    const rows = await Promise.all([first, plain.client.query('SELECT 2 AS n')])
    expect(rows.map((result) => result.rows[0].n)).toEqual([1, 2])
    proxy.setDelay({})
    await plain.client.query('SELECT 3')
  })

  test('what was under way when the flow was cut is lost', async () => {
    await using plain = await dial()
    proxy.setDelay({ toServerMillis: 60_000 })
    proxy.counters.reset()
    const lost = failureOf(plain.client.query(INSERT))
    await expect.poll(() => proxy.counters.chunksToServer).toBe(1)
    proxy.cut('rst')
    expect(await lost).toBe('ECONNRESET')
    expect(proxy.counters.bytesLost).toBeGreaterThan(INSERT.length)
    await waitForSessions(server, name(), 0)
    expect(await countWrites()).toBe(0)
  })
})

describe('in flight', () => {
  test.each([
    ['rst', 'ECONNRESET'],
    ['fin', 'Connection terminated unexpectedly'],
    ['drop', HANGS],
  ] as const)('loseNextRequest, %s: the server never sees it', async (cut, seen) => {
    await using plain = await dial()
    const ambush = proxy.loseNextRequest({ cut })
    expect(await orHangs(failureOf(plain.client.query(INSERT)))).toBe(seen)
    expect((await ambush.struck).clientPort).toBe(proxy.flows[0]?.clientPort)
    expect(proxy.counters.struck['lost-request']).toBe(1)
    expect(await countWrites()).toBe(0)
    // It strikes once.
    await using next = await dial()
    await next.client.query(INSERT)
    expect(await countWrites()).toBe(1)
  })

  test.each([
    ['rst', 'ECONNRESET'],
    ['fin', 'Connection terminated unexpectedly'],
    ['drop', HANGS],
  ] as const)('loseNextAnswer, %s: the write is there, the client does not know', async (cut, seen) => {
    await using plain = await dial()
    const ambush = proxy.loseNextAnswer({ cut })
    expect(await orHangs(failureOf(plain.client.query(INSERT)))).toBe(seen)
    await ambush.struck
    expect(proxy.counters.struck['lost-answer']).toBe(1)
    expect(await countWrites()).toBe(1)
  })

  test('waits for the text that it was given, and passes over short chunks', async () => {
    await using plain = await dial()
    proxy.loseNextAnswer({ containing: 'INSERT' })
    proxy.loseNextRequest({ minBytes: 1_000 })
    await plain.client.query('SELECT 1 /* a request that is long enough, but another */')
    expect(await failureOf(plain.client.query(INSERT))).toBe('ECONNRESET')
    expect(proxy.counters.struck).toMatchObject({ 'lost-answer': 1, 'lost-request': 0 })
  })

  test('can be called off', async () => {
    await using plain = await dial()
    proxy.loseNextRequest().cancel()
    await plain.client.query(INSERT)
    expect(await countWrites()).toBe(1)
  })

  test('until ready-for-query: strikes only when the statement is done, however early its first bytes come', async () => {
    await using plain = await dial()
    const early = proxy.loseNextAnswer({ containing: 'pg_sleep', until: 'ready-for-query' })
    const lost = failureOf(plain.client.query(`WITH w AS (INSERT INTO writes SELECT 1) SELECT repeat('x', 9000), pg_sleep(0.1) FROM generate_series(1, 3)`))
    await early.struck
    expect(await countWrites()).toBe(1)
    expect(await lost).toBe('ECONNRESET')
    expect(proxy.counters.bytesLost).toBeGreaterThan(27_000)
  })

  test('afterBytes: the answer breaks off in the middle', async () => {
    await using plain = await dial()
    proxy.loseNextAnswer({ containing: 'generate_series', afterBytes: 50, cut: 'fin' })
    proxy.counters.reset()
    expect(await failureOf(plain.client.query('SELECT generate_series(1, 1000) AS n'))).toBe('Connection terminated unexpectedly')
    expect(proxy.counters.bytesToClient).toBe(50)
  })
})

test('through TLS: round trips, an answer lost by size, and a drop', async () => {
  await using secure = await startPostgres({ tls: true })
  await using tunnel = await startFaultProxy(secure)
  await secure.query('CREATE TABLE writes (id int)')
  const config = { connectionString: tunnel.urlFor(secure.url), ssl: { ca: String(secure.ca) } }
  await using plain = await connectPlain(config)
  tunnel.counters.reset()
  await plain.client.query('SELECT 1')
  expect(tunnel.counters.roundTrips).toBe(1)
  tunnel.loseNextAnswer()
  expect(await failureOf(plain.client.query(INSERT))).toBe('ECONNRESET')
  expect((await secure.query('TABLE writes')).rowCount).toBe(1)
  await using second = await connectPlain(config)
  tunnel.cut('drop')
  expect(await orHangs(second.client.query('SELECT 1'))).toBe(HANGS)
})

test('ten connections die unseen: each costs plain node-postgres one failed query', async () => {
  const clients = await Promise.all(Array.from({ length: 10 }, () => dial()))
  expect(proxy.cut('rst-on-next-byte')).toBe(10)
  const failures = await Promise.all(clients.map(({ client }) => failureOf(client.query('SELECT 1'))))
  expect(failures).toEqual(Array(10).fill('ECONNRESET'))
  expect(proxy.counters.struck['rst-on-next-byte']).toBe(10)
})
