/** Round trips of a dial with its first statement, by the proxy's count, plain pg beside. */

import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
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

  test('a server that asks for something else by now is asked again, in the ordinary way', async () => {
    const before = await startPostgres()
    const { port } = before
    const known = new Pool({ connectionString: before.url, earlyLogin: true })
    await known.query('select 1')
    await known.end()
    await before.close()
    await using after = await startPostgres({ port, authentication: 'password' })
    const pool = new Pool({ connectionString: after.url, earlyLogin: true })
    expect((await pool.query('select 7 as n')).rows).toEqual([{ n: 7 }])
    await pool.end()
  }, 120_000)
})

test('TLS without asking for it, with pg’s own option: a round trip less', async () => {
  const ssl = { ca: server.ca, ecdhCurve: 'P-256:X25519' }
  const [, asked] = await dials(stock.Pool, { ssl })
  expect((await dials(ours, { ssl, sslnegotiation: 'direct' }))[1]).toBe(asked - 1)
  expect((await dials(ours, { ssl, sslnegotiation: 'direct', earlyLogin: true }))[1]).toBe(asked - 2)
})
