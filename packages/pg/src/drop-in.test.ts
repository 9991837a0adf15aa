import { type PostgresServer, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import Cursor from 'pg-cursor'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import thaw, * as everything from './index.ts'
import { Client, OptionError, Pool, type PoolConfig, TransactionOpenError } from './index.ts'

let server: PostgresServer
const open: Pool[] = []

function createPool(config: PoolConfig = {}): Pool {
  const pool = new Pool({ connectionString: server.url, ...config })
  open.push(pool)
  return pool
}

beforeAll(async () => {
  server = await startPostgres()
})
afterEach(async () => {
  for (const pool of open.splice(0)) if (!pool.ending) await pool.end({ timeoutMillis: 1000 })
})
afterAll(() => server.close())

describe('the same class to everyone who looks', () => {
  test('a Thaw pool is a pg pool, its clients are pg clients', async () => {
    const pool = createPool()
    const client = await pool.connect()
    expect(pool).toBeInstanceOf(stock.Pool)
    expect(client).toBeInstanceOf(stock.Client)
    // As in node-postgres, whose pool makes clients of the class that it exports.
    expect(client).toBeInstanceOf(Client)
    expect(client).not.toBeInstanceOf(class extends Client {})
    expect(new stock.Client()).not.toBeInstanceOf(Client)
    expect(Pool.name).toBe('Pool')
    expect(pool.constructor.name).toBe('Pool')
    client.release()
  })

  test('whatever pg exports is exported, by name and on the default export', () => {
    // `native` is refused, and __esModule and friends do not matter here.
    for (const name of Object.keys(stock).filter((key) => !key.startsWith('_'))) {
      expect(everything, name).toHaveProperty(name)
      expect(thaw, name).toHaveProperty(name)
    }
    expect(thaw.Pool).toBe(Pool)
    expect(thaw.Client).toBe(Client)
    expect(thaw.types).toBe(stock.types)
    expect(thaw.defaults).toBe(stock.defaults)
    expect({ ...thaw }.Pool).toBe(Pool)
  })

  test('pg-native is refused, by name', () => {
    for (const { native } of [thaw as unknown as typeof stock, everything as unknown as typeof stock]) {
      for (const name of ['Pool', 'Client', 'Query', 'types', 'defaults', 'native'] as const) {
        expect(() => (native as unknown as Record<string, unknown>)[name], name).toThrow(/does not work with pg-native/)
      }
    }
  })

  test('options stay where pg-pool has them, the password hidden', () => {
    const pool = createPool({ max: 3, password: 'secret' })
    expect(pool.options).toMatchObject({ max: 3, min: 0, idleTimeoutMillis: 10_000, connectionTimeoutMillis: 10_000 })
    expect(Object.keys(pool.options)).not.toContain('password')
    expect(pool.options.password).toBe('secret')
    // People make one pool from the options of another.
    expect(new Pool(pool.options as PoolConfig).options.password).toBe('secret')
  })

  test('null and 0 switch the time limits off, as in node-postgres', () => {
    expect(createPool({ idleTimeoutMillis: null }).options.idleTimeoutMillis).toBeNull()
    expect(createPool({ connectionTimeoutMillis: 0 }).options.connectionTimeoutMillis).toBe(0)
  })

  test('a Client given in either place is the one that is made', async () => {
    class Mine extends stock.Client {}
    for (const pool of [createPool({ Client: Mine as never }), new Pool({ connectionString: server.url }, Mine)]) {
      const client = await pool.connect()
      expect(client).toBeInstanceOf(Mine)
      client.release()
      await pool.end()
    }
  })

  test('our own Client works alone and in a pool', async () => {
    const client = new Client(server.url)
    await client.connect()
    expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    await client.end()
    const pool = createPool({ Client: Client as never })
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })
})

describe('every way of calling', () => {
  test('query: text, values, config, callback', async () => {
    const pool = createPool()
    expect((await pool.query('select 1 as n')).rows).toEqual([{ n: 1 }])
    expect((await pool.query('select $1::int as n', [2])).rows).toEqual([{ n: 2 }])
    expect((await pool.query({ name: 'three', text: 'select 3 as n' })).rows).toEqual([{ n: 3 }])
    expect((await pool.query({ text: 'select 4', rowMode: 'array' })).rows).toEqual([[4]])
    const byCallback = await new Promise((resolve, reject) => {
      const returned = pool.query('select $1::int as n', [5], (error, result) => (error ? reject(error) : resolve(result.rows)))
      expect(returned).toBeUndefined()
    })
    expect(byCallback).toEqual([{ n: 5 }])
  })

  test('connect: promise and callback; the same client comes back', async () => {
    const pool = createPool()
    const client = await pool.connect()
    client.release()
    const again = await new Promise((resolve, reject) => {
      pool.connect((error, same, release) => {
        release()
        if (error) reject(error)
        else resolve(same)
      })
    })
    expect(again).toBe(client)
    expect(() => client.release()).toThrow(/already been released/)
  })

  // `client.release()` itself belongs to the caller that has the client now, with both: it is one object.
  test.each([
    ['pg', stock.Pool],
    ['@thaw/pg', Pool as unknown as typeof stock.Pool],
  ])('a release that was kept does not reach the next caller: %s', async (_name, PoolClass) => {
    const own = new PoolClass({ connectionString: server.url, max: 1 })
    const { release } = await own.connect()
    release()
    const done = await new Promise<() => void>((resolve) => own.connect((_error, _client, given) => resolve(given)))
    expect(() => release()).toThrow(/already been released/)
    done()
    const next = await own.connect()
    for (const kept of [release, done]) expect(() => kept()).toThrow(/already been released/)
    expect(own.idleCount).toBe(0)
    expect((await next.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    next.release()
    await own.end()
  })

  test('the stack of an error leads to the caller', async () => {
    const plain = new stock.Pool({ connectionString: server.url })
    for (const pool of [plain, createPool() as unknown as stock.Pool]) {
      async function theCaller(): Promise<void> {
        await pool.query('select nope')
      }
      await expect(theCaller()).rejects.toMatchObject({ stack: expect.stringContaining('theCaller') })
    }
    await plain.end()
  })

  test('a cursor is returned and read', async () => {
    const client = await createPool().connect()
    const cursor = client.query(new Cursor('select generate_series(1, 3) as n'))
    expect(await cursor.read(2)).toEqual([{ n: 1 }, { n: 2 }])
    await cursor.close()
    client.release()
  })

  test('events come in the order of pg-pool', async () => {
    const order = async (pool: stock.Pool) => {
      const seen: string[] = []
      for (const name of ['connect', 'acquire', 'release', 'remove'] as const) pool.on(name, () => seen.push(name))
      await Promise.all([pool.query('select 1'), pool.query('select 2'), pool.query('select 3')])
      await pool.query('not sql').catch(() => {})
      const removed = new Promise((resolve) => pool.once('remove', resolve))
      await pool.end()
      await removed
      return seen
    }
    const config = { connectionString: server.url, max: 1 }
    expect(await order(new Pool(config))).toEqual(await order(new stock.Pool(config)))
  })

  test('a connection is closed after an SQL error, unless it is to be kept', async () => {
    const duplicate = async (pool: Pool) => {
      for (let i = 0; i < 5; i++) await expect(pool.query('select 1 / 0')).rejects.toMatchObject({ code: '22012' })
      return pool.stats().connected
    }
    expect(await duplicate(createPool({ max: 1 }))).toBe(5)
    // Not even a second one, while the first is not ready yet.
    expect(await duplicate(createPool({ max: 3, keepOnSqlError: true }))).toBe(1)
  })

  test('a transaction opened by pool.query is refused and rolled back', async () => {
    const pool = createPool()
    const refused = await pool.query('begin').catch((error) => error)
    expect(refused).toBeInstanceOf(TransactionOpenError)
    expect(refused.message).toContain('pool.connect()')
    expect(pool.totalCount).toBe(0)
    await expect(pool.query('begin; select 1; commit')).resolves.toBeDefined()
  })

  test('counters and events tell what happened', async () => {
    const pool = createPool()
    const seen: string[] = []
    const stop = pool.subscribe((event) => seen.push(event.type))
    await pool.query('select 1')
    stop()
    await pool.query('select 1')
    expect(seen).toEqual(['connected', 'acquired', 'released'])
    expect(pool.stats()).toMatchObject({ connected: 1, acquired: 2, total: 1, idle: 1, waiting: 0 })
  })
})

describe('bad use', () => {
  test.each([
    [{ trustMillis: -1 }, /"trustMillis" is -1, but must be a number, 0 or more/],
    [{ probeTimeoutMilis: 5 }, /no option "probeTimeoutMilis"\. Did you mean "probeTimeoutMillis"\?/],
    [{ max: Number.NaN }, /"max" is NaN/],
    [{ max: 2.5 }, /"max" is 2.5, but must be a whole number/],
    [{ keepOnSqlError: 'postgres://u:geheim@h/d' }, /"keepOnSqlError" is a string of 23 characters, but must be a boolean/],
  ])('%o is refused', (config, message) => {
    expect(() => new Pool(config as PoolConfig)).toThrow(OptionError)
    expect(() => new Pool(config as PoolConfig)).toThrow(message)
  })

  test('a URL in the place of the options is refused, and not shown', () => {
    const url = 'postgres://user:geheim@host/db'
    expect(() => new Pool(url as PoolConfig)).toThrow(/new Pool\(\{ connectionString: url \}\)/)
    expect(() => new Pool(url as PoolConfig)).not.toThrow(/geheim/)
  })

  test('options of other libraries pass', () => {
    expect(() => new Pool({ application_name: 'x', log: () => {}, somethingElse: 1 } as PoolConfig)).not.toThrow()
  })
})
