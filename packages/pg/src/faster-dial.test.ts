/** Round trips of a dial with its first statement, by the proxy's count, plain pg beside. */

import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { Pool } from './index.ts'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres({ tls: true })
})
afterAll(() => server.close())

/**
 * What the first dial takes, and at least each of three later ones, by pools that have learned nothing but what the process knows. At least: TLS may
 * send in two pieces what it could send in one.
 */
async function dials(PoolClass: typeof stock.Pool, config: object): Promise<[number, number]> {
  await using proxy: FaultProxy = await startFaultProxy(server)
  for (let dial = 0; dial < 4; dial++) {
    const pool = new PoolClass({ connectionString: proxy.urlFor(server.url), ...config })
    expect((await pool.query('select 7 as n')).rows).toEqual([{ n: 7 }])
    await pool.end()
  }
  const [first = 0, ...later] = proxy.flows.map(({ traffic }) => traffic.roundTrips)
  return [first, Math.min(...later)]
}
const ours = Pool as unknown as typeof stock.Pool

test('TLS without asking for it, with pg’s own option: a round trip less', async () => {
  const ssl = { ca: server.ca, ecdhCurve: 'P-256:X25519' }
  const [, asked] = await dials(stock.Pool, { ssl })
  expect((await dials(ours, { ssl, sslnegotiation: 'direct' }))[1]).toBe(asked - 1)
})

describe('what SCRAM makes of a password', () => {
  /** How often ten dials hash a password. */
  async function hashings(PoolClass: typeof stock.Pool, config: object = {}): Promise<number> {
    const derive = vi.spyOn(crypto.subtle, 'deriveBits')
    const pool = new PoolClass({ connectionString: server.url, max: 10, hedge: false, ...config } as stock.PoolConfig)
    const clients = await Promise.all(Array.from({ length: 10 }, () => pool.connect()))
    for (const client of clients) client.release()
    const { length } = derive.mock.calls
    derive.mockRestore()
    await pool.end()
    return length
  }

  test('is computed once for all connection attempts', async () => {
    expect(await hashings(stock.Pool)).toBe(10)
    expect(await hashings(ours)).toBe(1)
    expect(await hashings(ours, { ssl: { ca: server.ca } })).toBe(1)
    expect(await hashings(ours, { cacheScramKeys: false })).toBe(10)
  })

  test('is not computed where the server asks for more rounds than the user allows', async () => {
    for (const PoolClass of [stock.Pool, ours]) {
      const pool = new PoolClass({ connectionString: server.url, scramMaxIterations: 1000 } as stock.PoolConfig)
      await expect(pool.query('select 1')).rejects.toThrow('scramMaxIterations')
      await pool.end()
    }
  })

  test('is computed again for another password, and for another salt', async () => {
    await server.query("CREATE ROLE renewed LOGIN PASSWORD 'before'")
    let password = 'before'
    const { host, port } = server
    const config = { host, port, database: 'postgres', user: 'renewed', password: () => password }
    // A password that is refused may be one that is being rotated: that is waited for.
    const pool = new Pool({ ...config, maxUses: 1, connectionTimeoutMillis: 2000 })
    const derive = vi.spyOn(crypto.subtle, 'deriveBits')
    const dial = async (): Promise<number> => {
      derive.mockClear()
      expect((await pool.query('select 7 as n')).rows).toEqual([{ n: 7 }])
      return derive.mock.calls.length
    }
    expect([await dial(), await dial()]).toEqual([1, 0])
    await server.query("ALTER ROLE renewed PASSWORD 'before'")
    expect([await dial(), await dial()]).toEqual([1, 0])
    await server.query("ALTER ROLE renewed PASSWORD 'pässword'")
    await expect(pool.query('select 1')).rejects.toMatchObject({ code: '28P01' })
    // An attempt with the old one may still be under way.
    await vi.waitUntil(() => pool.totalCount === 0, { timeout: 10_000 })
    password = 'pässword'
    // What has to be prepared (RFC 4013) is left to pg.
    expect([await dial(), await dial()]).toEqual([1, 1])
    derive.mockRestore()
    await pool.end()
  })
})
