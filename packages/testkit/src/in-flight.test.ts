import { describe, expect, test } from 'vitest'
import { connectPlain, failureOf } from '../fixtures/plain-client.ts'
import { HANGS, INSERT, orHangs, useProxiedServer } from '../fixtures/proxied-server.ts'
import { startFaultProxy } from './fault-proxy.ts'
import { startPostgres } from './postgres.ts'
import { waitForSessions } from './sessions.ts'

const place = useProxiedServer()

describe('delay', () => {
  test('holds each way back, in order', async () => {
    await using plain = await place.dial()
    place.proxy.setDelay({ toServerMillis: 40, toClientMillis: 30 })
    const before = performance.now()
    await plain.client.query('SELECT 1')
    expect(performance.now() - before).toBeGreaterThanOrEqual(69)
    const first = plain.client.query('SELECT 1 AS n')
    place.proxy.setDelay({ toServerMillis: 1 })
    const rows = await Promise.all([first, plain.client.query('SELECT 2 AS n')])
    expect(rows.map((result) => result.rows[0].n)).toEqual([1, 2])
    place.proxy.setDelay({})
    await plain.client.query('SELECT 3')
  })

  test('what was under way when the flow was cut is lost', async () => {
    await using plain = await place.dial()
    place.proxy.setDelay({ toServerMillis: 60_000 })
    place.proxy.counters.reset()
    const lost = failureOf(plain.client.query(INSERT))
    await expect.poll(() => place.proxy.counters.chunksToServer).toBe(1)
    place.proxy.cut('rst')
    expect(await lost).toBe('ECONNRESET')
    expect(place.proxy.counters.bytesLost).toBeGreaterThan(INSERT.length)
    await waitForSessions(place.server, place.name, 0)
    expect(await place.countWrites()).toBe(0)
  })
})

describe('in flight', () => {
  test.each([
    ['rst', 'ECONNRESET'],
    ['fin', 'Connection terminated unexpectedly'],
    ['drop', HANGS],
  ] as const)('loseNextRequest, %s: the server never sees it', async (cut, seen) => {
    await using plain = await place.dial()
    const ambush = place.proxy.loseNextRequest({ cut })
    const failure = failureOf(plain.client.query(INSERT))
    expect(await (seen === HANGS ? orHangs(failure) : failure)).toBe(seen)
    expect((await ambush.struck).clientPort).toBe(place.proxy.flows[0]?.clientPort)
    expect(place.proxy.counters.struck['lost-request']).toBe(1)
    expect(await place.countWrites()).toBe(0)
    // It strikes once.
    await using next = await place.dial()
    await next.client.query(INSERT)
    expect(await place.countWrites()).toBe(1)
  })

  test.each([
    ['rst', 'ECONNRESET'],
    ['fin', 'Connection terminated unexpectedly'],
    ['drop', HANGS],
  ] as const)('loseNextAnswer, %s: the write is there, the client does not know', async (cut, seen) => {
    await using plain = await place.dial()
    const ambush = place.proxy.loseNextAnswer({ cut })
    const failure = failureOf(plain.client.query(INSERT))
    expect(await (seen === HANGS ? orHangs(failure) : failure)).toBe(seen)
    await ambush.struck
    expect(place.proxy.counters.struck['lost-answer']).toBe(1)
    expect(await place.countWrites()).toBe(1)
  })

  test.each(['loseNextRequest', 'loseNextAnswer'] as const)('%s with last words: the client hears them', async (lose) => {
    await using plain = await place.dial()
    place.proxy[lose]({ errorResponse: { code: '08P01', message: 'server conn crashed?' } })
    const error = await plain.client.query(INSERT).catch((thrown: Error) => thrown)
    expect(error).toMatchObject({ severity: 'FATAL', code: '08P01', message: 'server conn crashed?' })
    expect(await place.countWrites()).toBe(lose === 'loseNextAnswer' ? 1 : 0)
  })

  test('waits for the text that it was given, and passes over short chunks', async () => {
    await using plain = await place.dial()
    place.proxy.loseNextAnswer({ containing: 'INSERT' })
    place.proxy.loseNextRequest({ minBytes: 1_000 })
    await plain.client.query('SELECT 1 /* a request that is long enough, but another */')
    expect(await failureOf(plain.client.query(INSERT))).toBe('ECONNRESET')
    expect(place.proxy.counters.struck).toMatchObject({ 'lost-answer': 1, 'lost-request': 0 })
  })

  test('can be called off', async () => {
    await using plain = await place.dial()
    place.proxy.loseNextRequest().cancel()
    await plain.client.query(INSERT)
    expect(await place.countWrites()).toBe(1)
  })

  test('until ready-for-query: strikes only when the statement is done, however early its first bytes come', async () => {
    await using plain = await place.dial()
    const early = place.proxy.loseNextAnswer({ containing: 'pg_sleep', until: 'ready-for-query' })
    const lost = failureOf(
      plain.client.query(`WITH w AS (INSERT INTO writes SELECT 1) SELECT repeat('x', 9000), pg_sleep(0.1) FROM generate_series(1, 3)`),
    )
    await early.struck
    expect(await place.countWrites()).toBe(1)
    expect(await lost).toBe('ECONNRESET')
    expect(place.proxy.counters.bytesLost).toBeGreaterThan(27_000)
  })

  test('afterBytes: the answer breaks off in the middle', async () => {
    await using plain = await place.dial()
    place.proxy.loseNextAnswer({ containing: 'generate_series', afterBytes: 50, cut: 'fin' })
    place.proxy.counters.reset()
    expect(await failureOf(plain.client.query('SELECT generate_series(1, 1000) AS n'))).toBe('Connection terminated unexpectedly')
    expect(place.proxy.counters.bytesToClient).toBe(50)
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
