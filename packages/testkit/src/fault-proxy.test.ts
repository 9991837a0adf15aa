import { connect, createServer, type Socket } from 'node:net'
import { describe, expect, test } from 'vitest'
import { connectPlain, failureOf } from '../fixtures/plain-client.ts'
import { HANG_MILLIS, HANGS, INSERT, orHangs, useProxiedServer } from '../fixtures/proxied-server.ts'
import { startFaultProxy } from './fault-proxy.ts'
import { sessionsOf, waitForSessions } from './sessions.ts'

const place = useProxiedServer()

describe('without a fault', () => {
  test('passes everything on, and counts it', async () => {
    await using plain = await place.dial()
    expect(place.proxy.counters).toMatchObject({ flowsOpened: 1, flowsClosed: 0, flights: 3, roundTrips: 3 })
    place.proxy.counters.reset()
    expect((await plain.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    // Query(4 + 1 + 16) out; RowDescription, DataRow, CommandComplete and ReadyForQuery back.
    expect(place.proxy.counters).toMatchObject({ flowsOpened: 0, chunksToServer: 1, bytesToServer: 21, roundTrips: 1, bytesLost: 0 })
    expect(place.proxy.counters.bytesToClient).toBeGreaterThan(40)
    await plain.client.end()
    await plain.ended
    await expect.poll(() => place.proxy.counters.flowsClosed).toBe(1)
    // The farewell is a flight that is not answered.
    expect(place.proxy.counters).toMatchObject({ flights: 2, roundTrips: 1 })
    expect(plain.errors).toEqual([])
    await waitForSessions(place.server, place.name, 0)
  })

  test('knows each flow, and what went over it', async () => {
    const seen: number[] = []
    const stop = place.proxy.onFlow((flow) => seen.push(flow.id))
    await using first = await place.dial()
    stop()
    await using second = await place.dial()
    expect(seen).toEqual([1])
    expect(place.proxy.flows.map(({ id, state }) => ({ id, state }))).toEqual([
      { id: 1, state: 'open' },
      { id: 2, state: 'open' },
    ])
    await second.client.query('SELECT 2')
    const [flow, busier] = place.proxy.flows
    expect(flow?.clientPort).toBe((first.client as unknown as { connection: { stream: Socket } }).connection.stream.localPort)
    expect(busier?.traffic.roundTrips).toBe(Number(flow?.traffic.roundTrips) + 1)
    const [question, answer] = busier?.chunks.slice(-2) ?? []
    expect(question).toMatchObject({ direction: 'to-server', bytes: 14, isLost: false })
    expect(question?.data.toString()).toContain('SELECT 2')
    expect(answer?.direction).toBe('to-client')
    expect(answer?.atMillis).toBeGreaterThanOrEqual(Number(question?.atMillis))
    await first.client.end()
    await expect.poll(() => flow?.state).toBe('closed')
    place.proxy.counters.reset()
    expect(place.proxy.flows).toEqual([busier])
  })

  test('carries megabytes both ways, in order, past a slow reader', async () => {
    const text = 'thaw '.repeat(1_000_000)
    await using plain = await place.dial()
    const { rows } = await plain.client.query('SELECT $1::text AS text', [text])
    expect(rows[0].text === text).toBe(true)
    expect(place.proxy.counters.bytesToClient).toBeGreaterThan(text.length)
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
    await using plain = await place.dial()
    await place.server.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [place.name])
    await plain.ended
    expect(plain.errors[0]).toMatchObject({ code: '57P01' })
    expect(place.proxy.counters.struck.fin).toBe(0)
  })

  test('lets the server see a client that vanishes by RST', async () => {
    await using plain = await place.dial()
    const { stream } = (plain.client as unknown as { connection: { stream: Socket } }).connection
    stream.resetAndDestroy()
    await waitForSessions(place.server, place.name, 0)
  })
})

describe('cut', () => {
  test('fin: the client hears of it at once, and its session ends', async () => {
    await using plain = await place.dial()
    expect(place.proxy.cut('fin')).toBe(1)
    await plain.ended
    expect(plain.errors.map((error) => error.message)).toEqual(['Connection terminated unexpectedly'])
    expect(place.proxy.counters.struck.fin).toBe(1)
    await waitForSessions(place.server, place.name, 0)
    expect(place.proxy.cut('fin')).toBe(0)
  })

  test('fin: the client that writes all the same hears nothing but the FIN', async () => {
    await using plain = await place.dial()
    place.proxy.cut('fin')
    // Sent before the loop could turn: as a frozen process does that finds the FIN only later.
    expect(await failureOf(plain.client.query(INSERT))).toBe('Connection terminated unexpectedly')
    await expect.poll(() => place.proxy.counters.bytesLost).toBeGreaterThan(0)
    expect(await place.countWrites()).toBe(0)
  })

  test('rst: the client gets ECONNRESET', async () => {
    await using plain = await place.dial()
    expect(place.proxy.cut('rst')).toBe(1)
    await plain.ended
    expect(plain.errors[0]).toMatchObject({ code: 'ECONNRESET' })
    expect(place.proxy.counters).toMatchObject({ flowsClosed: 1, struck: { rst: 1 } })
    await waitForSessions(place.server, place.name, 0)
  })

  test.each([
    ['fin-on-next-byte', 'Connection terminated unexpectedly'],
    ['rst-on-next-byte', 'ECONNRESET'],
  ] as const)('%s: nothing until the client sends, then %s; the server never sees it', async (kind, failure) => {
    await using plain = await place.dial()
    expect(place.proxy.cut(kind)).toBe(1)
    await waitForSessions(place.server, place.name, 0)
    expect(plain.errors).toEqual([])
    expect(place.proxy.flows[0]?.state).toBe('armed')
    expect(place.proxy.counters.struck[kind]).toBe(0)
    expect(await failureOf(plain.client.query(INSERT))).toBe(failure)
    expect(place.proxy.counters.struck[kind]).toBe(1)
    expect(await place.countWrites()).toBe(0)
    await using next = await place.dial()
    expect((await next.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('drop: the query hangs, neither side is told, and new connections work', async () => {
    await using plain = await place.dial()
    expect(place.proxy.cut('drop')).toBe(1)
    const lost = plain.client.query(INSERT).catch((error: Error) => error.message)
    expect(await orHangs(lost)).toBe(HANGS)
    expect(plain.errors).toEqual([])
    expect(place.proxy.counters.struck.drop).toBe(1)
    expect(place.proxy.counters.bytesLost).toBeGreaterThan(INSERT.length)
    expect(await sessionsOf(place.server, place.name)).toMatchObject([{ state: 'idle' }])
    await using next = await place.dial()
    expect((await next.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    expect(await place.countWrites()).toBe(0)
  })

  test('drop: stays silent when the server ends the session, and when the client says goodbye', async () => {
    await using plain = await place.dial()
    place.proxy.cut('drop')
    await place.server.query('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [place.name])
    await waitForSessions(place.server, place.name, 0)
    expect(await orHangs(plain.client.end())).toBe(HANGS)
    expect(plain.errors).toEqual([])
    // The client has hung up, so there is no flow to be cut.
    expect(place.proxy.cut('rst')).toBe(0)
  })

  test('drop, then rst: a silence that ends', async () => {
    await using plain = await place.dial()
    place.proxy.cut('drop')
    const lost = failureOf(plain.client.query(INSERT))
    expect(place.proxy.cut('drop')).toBe(0)
    expect(place.proxy.cut('rst')).toBe(1)
    expect(await lost).toBe('ECONNRESET')
  })

  test('the server side closes or is held as told', async () => {
    await using plain = await place.dial()
    await using other = await place.dial()
    const [first, second] = place.proxy.flows
    expect(place.proxy.cut('rst', { flows: first ? [first] : [], server: 'hold' })).toBe(1)
    await plain.ended
    expect(second?.cut('drop', { server: 'close' })).toBe(true)
    await waitForSessions(place.server, place.name, 1)
    expect(other.errors).toEqual([])
    // A held connection outlives its client, but not the proxy, even if its flow was forgotten by a reset meanwhile.
    place.proxy.counters.reset()
    await place.proxy.close()
    await waitForSessions(place.server, place.name, 0)
  })

  test('one flow of many', async () => {
    await using first = await place.dial()
    await using second = await place.dial()
    expect(place.proxy.flows[0]?.cut('rst')).toBe(true)
    await first.ended
    expect((await second.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })
})

describe('new connections', () => {
  test('refuse: ECONNREFUSED, while open flows go on; accept: as before, on the same port', async () => {
    await using plain = await place.dial()
    place.proxy.refuse()
    place.proxy.refuse()
    expect(await failureOf(place.dial())).toBe('ECONNREFUSED')
    expect((await plain.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    await place.proxy.accept()
    await using next = await place.dial()
    expect((await next.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('deafen: accepted, and never answered', async () => {
    await using plain = await place.dial()
    await place.proxy.deafen()
    expect(await failureOf(place.dial({ connectionTimeoutMillis: HANG_MILLIS }))).toBe('timeout expired')
    await expect.poll(() => place.proxy.counters.struck.deaf).toBe(1)
    expect((await plain.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    await place.proxy.accept()
    await using next = await place.dial()
    expect((await next.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('away: refused, and cut', async () => {
    await using plain = await place.dial()
    expect(place.proxy.away()).toBe(1)
    await plain.ended
    expect(await failureOf(place.dial())).toBe('ECONNREFUSED')
    await place.proxy.accept()
    await using next = await place.dial()
    expect((await next.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('a target that is gone shows as RST', async () => {
    const gone = createServer()
    await new Promise<void>((resolve) => gone.listen(0, '127.0.0.1', resolve))
    const { port } = gone.address() as { port: number }
    await new Promise((resolve) => gone.close(resolve))
    await using nowhere = await startFaultProxy({ host: '127.0.0.1', port })
    expect(await failureOf(connectPlain({ connectionString: nowhere.urlFor(place.server.url) }))).toBe('ECONNRESET')
  })

  test('a port that is taken', async () => {
    expect(await failureOf(startFaultProxy(place.server, { port: place.proxy.port }))).toBe('EADDRINUSE')
  })
})

test('ten connections die unseen: each costs plain node-postgres one failed query', async () => {
  const clients = await Promise.all(Array.from({ length: 10 }, () => place.dial()))
  expect(place.proxy.cut('rst-on-next-byte')).toBe(10)
  const failures = await Promise.all(clients.map(({ client }) => failureOf(client.query('SELECT 1'))))
  expect(failures).toEqual(Array(10).fill('ECONNRESET'))
  expect(place.proxy.counters.struck['rst-on-next-byte']).toBe(10)
})
