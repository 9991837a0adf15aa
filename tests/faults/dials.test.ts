/**
 * A connection that cannot be made just now.
 *
 * What breaks: the name server, the network, or the server refuses a connection attempt, or never answers it, before any statement was sent. With
 * plain `pg` the call fails at the first such attempt, or waits forever. With Thaw the attempt is retried until the deadline; only where
 * waiting cannot help it fails at once, as with plain `pg`.
 */

import net from 'node:net'
import { createFakeClock, failDns } from '@thaw/testkit'
import pg from 'pg'
import { afterEach, describe, expect, test } from 'vitest'
import type { Driver } from './child.ts'
import { proxy, server, useFreshProxy } from './fresh-proxy.ts'
import { createDialLog, createPool, discard, outcome } from './side-by-side.ts'
import { until } from './until.ts'

useFreshProxy()

const HOST = 'db.thaw.test'

let log: ReturnType<typeof createDialLog>
const pools: pg.Pool[] = []

/** A pool that has no connection yet. */
function coldPool(driver: Driver, config: pg.PoolConfig = {}): pg.Pool {
  log = createDialLog()
  const pool = createPool(driver, { connectionString: proxy.urlFor(server.url), Client: log.Client, ...config })
  pools.push(pool)
  return pool
}

afterEach(async () => {
  await Promise.all(pools.splice(0).map(discard))
})

describe('what passes', () => {
  test('the server shuts down, is gone, and starts up: 57P03', async () => {
    const lingering = new pg.Client(server.url)
    await lingering.connect()
    // Waits for the last client to leave, and accepts no login meanwhile.
    const stopped = server.stop('smart')
    await until('the server lets no client in', () => outcome('pg', server.query('select')).then((code) => code === '57P03'))
    expect(await outcome('pg', coldPool('pg').query('select'))).toBe('57P03')
    const call = outcome('thaw', coldPool('thaw').query('select'))
    await until('a dial of Thaw is turned away', () => log.ended.includes('57P03'))
    await lingering.end()
    await stopped
    await server.start()
    expect(await call).toBe('ok')
  })

  test('no connection is left for this role: 53300', async () => {
    await server.query("create role crowd login password 'right' connection limit 0")
    const crowd = {
      user: 'crowd',
      password: 'right',
      connectionString: undefined,
      host: proxy.host,
      port: proxy.port,
      database: 'postgres',
    }
    expect(await outcome('pg', coldPool('pg', crowd).query('select'))).toBe('53300')
    const call = outcome('thaw', coldPool('thaw', crowd).query('select'))
    await until('a dial of Thaw is turned away', () => log.ended.includes('53300'))
    await server.query('alter role crowd connection limit -1')
    expect(await call).toBe('ok')
  })

  test('the name server does not answer, and is asked anew for each attempt', async () => {
    const byName = { connectionString: proxy.urlFor(server.url).replace(proxy.host, HOST) }
    using known = failDns({ host: HOST, times: 0 })
    await coldPool('thaw', byName).query('select')
    known.restore()
    using dns = failDns({ host: HOST, times: 3 })
    expect(await outcome('pg', coldPool('pg', byName).query('select'))).toBe('EAI_AGAIN')
    expect(await outcome('thaw', coldPool('thaw', byName).query('select'))).toBe('ok')
    expect(log.ended).toEqual(['EAI_AGAIN', 'EAI_AGAIN', 'ok'])
    expect(dns.lookups).toBe(4)
  })

  test('nothing listens, at an address that has been reached before', async () => {
    const warm = coldPool('thaw')
    await warm.query('select')
    proxy.away()
    expect(await outcome('pg', coldPool('pg').query('select'))).toBe('ECONNREFUSED')
    const call = outcome('thaw', coldPool('thaw').query('select'))
    await until('several dials are refused', () => log.ended.length > 2)
    await proxy.accept()
    expect(await call).toBe('ok')
    expect(new Set(log.ended)).toEqual(new Set(['ECONNREFUSED', 'ok']))
  })
})

describe('a connection attempt that is accepted and never answered', () => {
  /** Its first message is silently lost, and neither side is told. */
  const swallowNext = (times = 1) => Array.from({ length: times }, () => proxy.loseNextRequest({ cut: 'drop' }))

  test.each([1, 2])('does not stand in the way of the next (max: %i)', async (max) => {
    swallowNext()
    expect(await outcome('pg', coldPool('pg', { max }).query('select'))).toBe('hangs')
    swallowNext()
    const pool = coldPool('thaw', { max })
    expect(await outcome('thaw', pool.query('select'))).toBe('ok')
    expect(proxy.flows.filter(({ state }) => state === 'silent').length).toBe(2)
    await until('none is left above max', () => pool.totalCount <= max)
  })

  test.each([1, 2])('nor do four in a row, within the ten seconds of a caller (max: %i)', async (max) => {
    const swallowed = swallowNext(4)
    const clock = createFakeClock()
    const since = clock.mono()
    const call = outcome('thaw', coldPool('thaw', { max, clock } as pg.PoolConfig).query('select'))
    for (let dials = 1; dials <= 5; dials++) {
      while (proxy.flows.length < dials && clock.mono() - since < 9_000) await clock.advanceAsync(20)
      // Meanwhile its time stands still: a login takes as long as it takes.
      await swallowed[dials - 1]?.struck
    }
    expect(await call).toBe('ok')
  })

  test('stands in the way of what would be above max, with hedge: false', async () => {
    swallowNext()
    const pool = coldPool('thaw', { max: 1, hedge: false, connectionTimeoutMillis: 2500 } as pg.PoolConfig)
    expect(await outcome('thaw', pool.query('select'))).not.toBe('ok')
    expect(proxy.flows.length).toBe(1)
  })

  test('nor in the way of others, after a failure', async () => {
    const pool = coldPool('thaw', { max: 3 })
    await pool.query('select')
    proxy.away()
    const calls = [1, 2, 3].map(() => outcome('thaw', pool.query('select')))
    await until('dials are refused', () => log.ended.includes('ECONNREFUSED'))
    swallowNext(2)
    await proxy.accept()
    expect(await Promise.all(calls)).toEqual(['ok', 'ok', 'ok'])
  })

  test('is waited for: a server that wakes up slowly is reached by the first attempt', async () => {
    proxy.setDelay({ toServerMillis: 700 })
    const pool = coldPool('thaw', { max: 1 })
    // Four messages one after the other, 2.8 s.
    expect(await outcome('thaw', pool.query('select'))).toBe('ok')
    await until(
      'no session is left above max',
      () => pool.totalCount === 1 && proxy.flows.filter(({ state }) => state === 'open').length === 1,
    )
  })
})

describe('a server whose logins take long', () => {
  const COUNT = 5

  /** Four messages one after the other, 2.8 s. */
  async function login(driver: Driver): Promise<{ said: string[]; begun: number; ofTheFirst: number }> {
    proxy.setDelay({ toServerMillis: 700 })
    const pool = coldPool(driver, { max: COUNT, connectionTimeoutMillis: 4000 })
    const since = proxy.flows.length
    const held = await Promise.all(
      Array.from({ length: COUNT }, () =>
        pool.connect().then(
          (client) => client,
          (error: Error) => error.message,
        ),
      ),
    )
    const flows = proxy.flows.slice(since)
    const ofTheFirst = flows.slice(0, COUNT).filter(({ state }) => state === 'open').length
    for (const client of held) if (typeof client !== 'string') client.release()
    return { said: held.map((client) => (typeof client === 'string' ? client : 'ok')), begun: flows.length, ofTheFirst }
  }

  test('is not made to begin them anew: one more is opened beside them, and only that one is given up', async () => {
    const ok = Array.from({ length: COUNT }, () => 'ok')
    expect(await login('pg')).toEqual({ said: ok, begun: COUNT, ofTheFirst: COUNT })
    const { said, begun, ofTheFirst } = await login('thaw')
    expect({ said, ofTheFirst }).toEqual({ said: ok, ofTheFirst: COUNT })
    // A second one, because the first had taken long as well.
    expect(begun).toBeLessThanOrEqual(COUNT + 2)
    await until('none is left above max', () => pools.every(({ totalCount }) => totalCount <= COUNT))
  })

  test('nor are those of which several are lost: each is replaced', async () => {
    const swallowed = Array.from({ length: 4 }, () => proxy.loseNextRequest({ cut: 'drop' }))
    const pool = coldPool('thaw', { max: COUNT })
    const held = await Promise.all(Array.from({ length: COUNT }, () => pool.connect()))
    await Promise.all(swallowed.map(({ struck }) => struck))
    for (const client of held) client.release()
    await until('none is left above max', () => pool.totalCount === COUNT && pool.idleCount === COUNT)
  })
})

describe('what does not pass is bounded', () => {
  /** Advances Thaw's clock alone until the call has ended. Returns how long that took. */
  async function waitOnFakeClock(config: pg.PoolConfig): Promise<{ said: string; tookMillis: number }> {
    const clock = createFakeClock()
    const since = clock.mono()
    let said: string | undefined
    const call = outcome('thaw', coldPool('thaw', { ...config, clock } as pg.PoolConfig).query('select'))
    call.then((word) => {
      said = word
    })
    while (said === undefined) await clock.advanceAsync(5)
    return { said, tookMillis: clock.mono() - since }
  }

  test('an address that was never reached costs 800 ms', async () => {
    proxy.refuse()
    expect(await outcome('pg', coldPool('pg').query('select'))).toBe('ECONNREFUSED')
    const { said, tookMillis } = await waitOnFakeClock({})
    expect(said).toBe('ECONNREFUSED')
    expect(tookMillis).toBeGreaterThan(400)
    expect(tookMillis).toBeLessThanOrEqual(805)
    expect(log.ended.length).toBeGreaterThan(3)
  })

  test.each([
    ['the name server does not know the name: it may be misspelt', 'ENOTFOUND', 400, 805],
    ['the name server does not answer', 'EAI_AGAIN', 9000, 10_005],
  ])('%s, of an address that was never reached: %s', async (_what, code, least, most) => {
    const host = `${code.toLowerCase().replace('_', '-')}.thaw.test`
    using dns = failDns({ host, times: 1000, code })
    const byName = { connectionString: proxy.urlFor(server.url).replace(proxy.host, host) }
    expect(await outcome('pg', coldPool('pg', byName).query('select'))).toBe(code)
    const { said, tookMillis } = await waitOnFakeClock(byName)
    expect([code, said.startsWith('timeout exceeded') ? code : said]).toEqual([code, code])
    expect(tookMillis).toBeGreaterThan(least)
    expect(tookMillis).toBeLessThanOrEqual(most)
    expect(dns.lookups).toBeGreaterThan(3)
  })

  test('a server that accepts and never answers costs connectionTimeoutMillis', async () => {
    await proxy.deafen()
    expect(await outcome('pg', coldPool('pg').query('select'))).toBe('hangs')
    for (const connectionTimeoutMillis of [undefined, 300]) {
      const { said, tookMillis } = await waitOnFakeClock({ connectionTimeoutMillis })
      expect(said).toMatch(/^timeout exceeded when trying to connect/)
      expect(tookMillis).toBeLessThanOrEqual((connectionTimeoutMillis ?? 10_000) + 5)
    }
    expect(proxy.flows.map(({ state }) => state)).toContain('silent')
  })
})

test('a silent name server is told apart from a server that accepts no login', async () => {
  class Unresolved extends net.Socket {
    override connect(...[port, host]: unknown[]): this {
      return super.connect({ port: port as number, host: host as string, lookup: () => {} })
    }
  }
  const said = async (config: pg.PoolConfig) => {
    const error = await coldPool('thaw', { connectionTimeoutMillis: 200, ...config })
      .query('select')
      .catch((reason: Error) => reason.message)
    return String(error)
  }
  const byName = { connectionString: proxy.urlFor(server.url).replace(proxy.host, HOST) }
  expect(await said({ ...byName, stream: () => new Unresolved() })).toContain('that DNS works from here')
  await proxy.deafen()
  expect(await said({})).toContain('Reached the address')
})

describe('what waiting cannot cure fails at once, after one attempt for each caller', () => {
  test.each([
    ['a wrong password', { password: 'wrong' }, '28P01'],
    ['no such database', { database: 'nowhere' }, '3D000'],
  ])('%s', async (_what, wrong, code) => {
    const { user, password, database } = server
    const config = { connectionString: undefined, host: proxy.host, port: proxy.port, user, password, database, max: 3, ...wrong }
    for (const driver of ['pg', 'thaw'] as const) {
      const pool = coldPool(driver, config)
      const calls = await Promise.all([1, 2, 3].map(() => outcome(driver, pool.query('select'))))
      expect(calls).toEqual([code, code, code])
      expect(log.ended).toEqual([code, code, code])
    }
    expect(proxy.counters.flowsOpened).toBe(6)
  })
})

describe('a password function', () => {
  const rotated = (password: () => string) => ({
    connectionString: undefined,
    host: proxy.host,
    port: proxy.port,
    user: 'rotated',
    database: 'postgres',
    password,
  })

  test('is asked for each attempt, so that a rotation harms no caller that has the new one', async () => {
    await server.query("create role rotated login password 'first'")
    let current = 'first'
    const pool = coldPool(
      'thaw',
      rotated(() => current),
    )
    await pool.query('select')
    current = 'second'
    await server.query("alter role rotated password 'second'")
    proxy.cut('rst')
    expect(await outcome('thaw', pool.query('select'))).toBe('ok')
    expect(log.ended).toEqual(['ok', 'ok'])
  })

  test('is asked once more after 28P01: its first answer was cached, and had expired', async () => {
    await server.query("alter role rotated password 'third'")
    const cached = () => {
      const answers = ['second', 'third']
      return () => answers.shift() ?? 'third'
    }
    expect(await outcome('pg', coldPool('pg', rotated(cached())).query('select'))).toBe('28P01')
    expect(await outcome('thaw', coldPool('thaw', rotated(cached())).query('select'))).toBe('ok')
    expect(log.ended).toEqual(['28P01', 'ok'])
  })
})
