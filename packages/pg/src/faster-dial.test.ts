/** Round trips of a dial with its first statement, by the proxy's count, plain pg beside. */

import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { OptionError, Pool, type PoolConfig } from './index.ts'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres({ tls: true })
})
afterAll(() => server.close())

/**
 * What the first dial takes, and at least each of three later ones, by pools that have learned nothing but what the process knows. At least: TLS may
 * send in two pieces what it could send in one.
 */
async function dials(PoolClass: typeof stock.Pool, config: object, prepare = (_pool: stock.Pool) => {}): Promise<[number, number]> {
  await using proxy: FaultProxy = await startFaultProxy(server)
  for (let dial = 0; dial < 4; dial++) {
    const pool = new PoolClass({ connectionString: proxy.urlFor(server.url), ...config })
    prepare(pool)
    expect((await pool.query('select 7 as n')).rows).toEqual([{ n: 7 }])
    await pool.end()
  }
  const [first = 0, ...later] = proxy.flows.map(({ traffic }) => traffic.roundTrips)
  return [first, Math.min(...later)]
}
const ours = Pool as unknown as typeof stock.Pool

describe('early login', () => {
  test('saves a round trip, from the second dial on', async () => {
    expect(await dials(stock.Pool, {})).toEqual([4, 4])
    expect(await dials(ours, {})).toEqual([4, 4])
    expect(await dials(ours, { earlyLogin: true })).toEqual([4, 3])
  })

  test('with TLS too, and with a password function', async () => {
    const { password } = server
    const config = { ssl: { ca: server.ca }, password: async () => password }
    const [, later] = await dials(ours, config)
    expect((await dials(ours, { ...config, earlyLogin: true }))[1]).toBe(later - 1)
  })

  test('is not used while somebody listens to connect, and refused with onConnect', async () => {
    expect(await dials(ours, { earlyLogin: true }, (pool) => pool.on('connect', () => {}))).toEqual([4, 4])
    expect(() => new Pool({ earlyLogin: true, onConnect: async () => {} } as PoolConfig)).toThrow(OptionError)
  })

  test('a wrong password is refused as such', async () => {
    const pool = new Pool({ connectionString: server.url, earlyLogin: true, max: 1 })
    await pool.query('select 1')
    await pool.end()
    const wrong = new Pool({ connectionString: server.url.replace(/:[^:@]*@/, ':wrong@'), earlyLogin: true })
    await expect(wrong.query('select 1')).rejects.toMatchObject({ code: '28P01' })
    await wrong.end()
  })

  test.each(['password', 'trust'] as const)(
    'a server that wants something else by now, %s, is asked again, in the ordinary way',
    async (authentication) => {
      const before = await startPostgres()
      const { port } = before
      const known = new Pool({ connectionString: before.url, earlyLogin: true })
      await known.query('select 1')
      await known.end()
      await before.close()
      await using after = await startPostgres({ port, authentication })
      const pool = new Pool({ connectionString: after.url, earlyLogin: true })
      expect((await pool.query('select 7 as n')).rows).toEqual([{ n: 7 }])
      await pool.end()
    },
    120_000,
  )
})

test('TLS without asking for it, with pg’s own option: a round trip less', async () => {
  const ssl = { ca: server.ca, ecdhCurve: 'P-256:X25519' }
  const [, asked] = await dials(stock.Pool, { ssl })
  expect((await dials(ours, { ssl, sslnegotiation: 'direct' }))[1]).toBe(asked - 1)
  expect((await dials(ours, { ssl, sslnegotiation: 'direct', earlyLogin: true }))[1]).toBe(asked - 2)
})

describe('what SCRAM makes of a password', () => {
  /** How often ten dials hash a password. */
  async function hashings(PoolClass: typeof stock.Pool, config: object = {}): Promise<number> {
    const derive = vi.spyOn(crypto.subtle, 'deriveBits')
    const pool = new PoolClass({ connectionString: server.url, max: 10, ...config })
    await Promise.all(Array.from({ length: 10 }, () => pool.query('select pg_sleep(0.2)')))
    expect(pool.totalCount).toBe(10)
    const { length } = derive.mock.calls
    derive.mockRestore()
    await pool.end()
    return length
  }

  test('is computed once for all dials', async () => {
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
    const pool = new Pool({ host, port, database: 'postgres', user: 'renewed', password: () => password, maxUses: 1 })
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
    password = 'pässword'
    // What has to be prepared (RFC 4013) is left to pg.
    expect([await dial(), await dial()]).toEqual([1, 1])
    derive.mockRestore()
    await pool.end()
  })
})
