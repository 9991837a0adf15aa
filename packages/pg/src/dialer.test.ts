import { type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { Pool, type PoolConfig } from './index.ts'

/** A second, which is the default, is little on a busy machine. */
const PATIENCE = { timeout: 20_000 }

let server: PostgresServer
/** For each dial, how many others were under way when it began. */
let besides: number[]

/** Counts dials where they begin and end: between pg-pool and pg. */
class CountedClient extends stock.Client {
  static underWay = 0
  // Of pg's two signatures a pool uses the one with a callback.
  override connect(callback?: unknown): never {
    besides.push(CountedClient.underWay++)
    const ended = (error: Error) => {
      CountedClient.underWay--
      ;(callback as (error: Error) => void)(error)
    }
    return super.connect(ended) as never
  }
}

function createPool(role: string, config: PoolConfig = {}): Pool {
  const { host, port, database } = server
  return new Pool({ host, port, database, user: role, password: 'right', Client: CountedClient as never, ...config })
}

beforeAll(async () => {
  server = await startPostgres()
})
beforeEach(() => {
  besides = []
})
afterAll(() => server.close())

describe('how many dials at once', () => {
  test('all that are needed, while none fails', async () => {
    await server.query("create role welcome login password 'right'")
    const pool = createPool('welcome', { max: 3 })
    await Promise.all(Array.from({ length: 6 }, () => pool.query('select 1')))
    expect(besides).toEqual([0, 1, 2])
    await pool.end()
  })

  test('after a failure one, until one succeeds', async () => {
    await server.query("create role crowd login password 'right' connection limit 0")
    const pool = createPool('crowd', { max: 3 })
    const calls = Promise.all(Array.from({ length: 9 }, () => pool.query('select 1')))
    await expect.poll(() => besides.length, PATIENCE).toBeGreaterThan(6)
    await server.query('alter role crowd connection limit -1')
    await calls
    const alone = besides.slice(3, besides.lastIndexOf(0) + 1)
    expect(besides.slice(0, 3)).toEqual([0, 1, 2])
    expect(new Set(alone)).toEqual(new Set([0]))
    await pool.end()
  })
})

describe('the password function', () => {
  test('is asked once more for all that used the old password', async () => {
    await server.query("create role rotated login password 'right'")
    const passwords = ['old', 'old', 'old', 'right', 'right', 'right']
    const pool = createPool('rotated', { max: 3, password: () => passwords.shift() ?? 'right' })
    await expect(Promise.all(Array.from({ length: 3 }, () => pool.query('select 1')))).resolves.toHaveLength(3)
    await pool.end()
  })

  test('is not asked for ever: each caller costs one refusal more, and learns it', async () => {
    await server.query("create role refused login password 'right'")
    let asked = 0
    const pool = createPool('refused', {
      max: 3,
      password() {
        asked++
        return 'wrong'
      },
    })
    const calls = await Promise.allSettled(Array.from({ length: 3 }, () => pool.query('select 1')))
    expect(calls.map((call) => call.status === 'rejected' && call.reason.code)).toEqual(['28P01', '28P01', '28P01'])
    expect(asked).toBe(6)
    // Later the answer may be another.
    await expect(pool.query('select 1')).rejects.toMatchObject({ code: '28P01' })
    expect(asked).toBe(8)
    await pool.end()
  })

  test('that throws leaves no connection behind, waiting for its password', async () => {
    await using proxy = await startFaultProxy(server)
    const { host, port } = proxy
    const pool = createPool('welcome', { host, port, password: () => Promise.reject(new Error('no token')) })
    await expect(pool.query('select 1')).rejects.toThrow('no token')
    await expect.poll(() => proxy.flows.map(({ state }) => state), PATIENCE).toEqual(['closed'])
    await pool.end()
  })
})

test('a server behind a socket of the file system, which takes the socket away when it stops, is waited for', async () => {
  await using local = await startPostgres({ settings: { unix_socket_directories: '/tmp' } })
  const { port, user, password, database } = local
  const dial = { host: '/tmp', port, user, password, database }
  const pool = new Pool({ ...dial, connectionTimeoutMillis: 60_000 })
  await pool.query('select 1')
  await local.stop()
  // node-postgres gives up at once.
  await expect(new stock.Pool(dial).query('select 1')).rejects.toMatchObject({ code: 'ENOENT', syscall: 'connect' })
  const waiting = pool.query('select 1 as one')
  await expect.poll(() => pool.stats().retried, PATIENCE).toBeGreaterThan(0)
  await local.start()
  expect((await waiting).rows).toEqual([{ one: 1 }])
  await pool.end()
})
