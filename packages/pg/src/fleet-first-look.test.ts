/** Members at an address where PostgreSQL itself has not answered yet: what waits for the first look, and what must not be written before its answer. */

import { Socket } from 'node:net'
import { type FaultProxy, type PostgresServer, startFaultProxy, startPooler, startPostgres } from '@thaw/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { Pool, type PoolClient, type PoolConfig } from './index.ts'

const PATIENCE = { timeout: 20_000, interval: 20 }
const PATIENT = 60_000

let server: PostgresServer
let proxy: FaultProxy
let pools: Pool[]

function member(config: PoolConfig = {}, url = proxy.urlFor(server.url)): Pool {
  const options = { connectionString: url, max: 1, idleTimeoutMillis: 0, hedge: false as const, connectionTimeoutMillis: 10_000 }
  const pool = new Pool({ ...options, fleet: 'orders', ...config } as PoolConfig)
  pools.push(pool)
  return pool
}

/** And waits until their connections have closed. */
async function endPools(): Promise<void> {
  await Promise.all(pools.splice(0).map((pool) => pool.end({ timeoutMillis: 1000 })))
}

const stored = async () => (await server.query<{ n: number }>('select count(*)::int as n from orders')).rows[0]?.n

beforeAll(async () => {
  server = await startPostgres()
  await server.query('create table orders (id int)')
})
beforeEach(async () => {
  // A new address for each test.
  proxy = await startFaultProxy(server)
  pools = []
})
afterEach(async () => {
  await endPools()
  await proxy.close()
  await server.query('truncate orders')
})
afterAll(() => server.close())

describe('a client that is released while its statement runs', () => {
  const ignored = () => {}

  test.each<[string, (client: PoolClient) => void | Promise<void>]>([
    ['its first', (client) => void client.query('insert into orders values (1)').catch(ignored)],
    [
      'a transaction',
      (client) => {
        for (const text of ['begin', 'insert into orders values (1)', 'commit']) client.query(text).catch(ignored)
      },
    ],
    [
      'one that sets its name',
      async (client) => {
        await client.query('insert into orders values (1)')
        await expect.poll(async () => pools[0]?.stats().fleet?.looks, PATIENCE).toBe(1)
        client.query("set application_name = 'report'").catch(ignored)
      },
    ],
    [
      'one that waits for the look, and is withdrawn',
      async (client) => {
        await client.query('insert into orders values (1)')
        const abort = new AbortController()
        client.query({ text: 'insert into orders values (2)', signal: abort.signal }).catch(ignored)
        setImmediate(() => abort.abort())
      },
    ],
  ])('says that it is free when that is answered: %s', { timeout: PATIENT }, async (_what, work) => {
    const pool = member({ releaseTimeoutMillis: 60_000 })
    const client = await pool.connect()
    const drained = vi.fn()
    client.on('drain', drained)
    await work(client)
    client.release()
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(drained).toHaveBeenCalled()
    expect(pool.stats()).toMatchObject({ connected: 1 })
    expect(await stored()).toBe(1)
  })
})

describe('what waits for a look that is never answered', () => {
  test.each<[string, (pool: Pool) => Promise<unknown>, number]>([
    ['a read is sent on another connection', (pool) => pool.query('select 1'), 0],
    ['a write, too: it was not sent', (pool) => pool.query('insert into orders values (1)'), 1],
    ['one that may be repeated', (pool) => pool.query({ text: 'insert into orders values (1)', idempotent: true }), 1],
    ['a transaction', (pool) => pool.transaction((client) => client.query('insert into orders values (1)')), 1],
    ['a batch', (pool) => pool.batch([{ text: 'insert into orders values (1)' }, { text: 'select 1' }]), 1],
  ])('%s', { timeout: PATIENT }, async (_what, work, stays) => {
    const pool = member({ probeTimeoutMillis: 300 })
    await pool.query('select 1')
    proxy.cut('drop')
    await work(pool)
    expect(await stored()).toBe(stays)
    expect(pool.stats()).toMatchObject({ connected: 2 })
  })

  test("a client's next statement is told that it was not executed, whatever its kind", { timeout: PATIENT }, async () => {
    const pool = member({ probeTimeoutMillis: 300 })
    const client = await pool.connect()
    client.on('error', () => {})
    await client.query('select 1')
    proxy.cut('drop')
    const answers = await Promise.allSettled([client.query('insert into orders values (1)'), client.query('select 1')])
    for (const answer of answers) {
      expect(answer).toMatchObject({
        status: 'rejected',
        reason: { name: 'ConnectionLostError', code: 'ETIMEDOUT', message: expect.stringContaining('within 300 ms') },
      })
    }
    client.release()
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(await stored()).toBe(0)
  })
})

describe("a pooler's session", () => {
  test.each<[string, (pool: Pool) => Promise<unknown>]>([
    ['a client', (pool) => pool.connect().then((client) => client.query('select 1').finally(() => client.release()))],
    ['a transaction', (pool) => pool.transaction((client) => client.query('select 1'))],
    ['a batch', (pool) => pool.batch([{ text: 'select 1' }, { text: 'select 2' }])],
    ['a client that has set its name', (pool) => pool.transaction((client) => client.query("set application_name = 'mine'"))],
  ])('is left as it is, and nothing is lost behind it: %s', { timeout: PATIENT }, async (_what, work) => {
    await using pooler = await startPooler(server)
    // A second connection attempt beside a slow one would count.
    const pool = member({ hedge: false }, pooler.urlFor(server.url))
    await work(pool)
    const { rows } = await pool.query(
      "select current_setting('application_name') like '%fleet:%' as named, current_setting('idle_session_timeout') as ends",
    )
    expect(rows).toEqual([{ named: false, ends: '0' }])
    expect(pooler.bytesDropped).toBe(0)
    expect(pool.stats()).toMatchObject({ connected: 1, fleetTrouble: 1, fleet: { looks: 0 } })
    await endPools()
  })
})

describe('an address at which PostgreSQL answered before, and that leads to a pooler now', () => {
  const insert = 'insert into orders values (1)'

  test.each<[string, (pool: Pool) => Promise<unknown>]>([
    ['a write', (pool) => pool.query(insert)],
    ['a write with values', (pool) => pool.query('insert into orders values ($1)', [1])],
    ['a read', (pool) => pool.query('select $1::int', [1])],
    ['a transaction', (pool) => pool.transaction((client) => client.query(insert))],
    ['a batch', (pool) => pool.batch([{ text: insert }, { text: 'select 1' }])],
    ['a client', (pool) => pool.connect().then((client) => client.query(insert).finally(() => client.release()))],
  ])('what the pooler does not answer behind the look does not wait for ever: %s', { timeout: PATIENT }, async (what, work) => {
    await using pooler = await startPooler(server, { sessions: 3 })
    await member().query('select 1')
    await vi.waitFor(() => expect(pools[0]?.stats().fleet?.looks).toBe(1), PATIENCE)
    proxy.moveTo(pooler)
    const pool = member()
    pool.on('error', () => {})
    const began = performance.now()
    const error = await work(pool).then(
      () => undefined,
      (reason: Error) => reason,
    )
    expect(performance.now() - began).toBeLessThan(15_000)
    // What has become of a write cannot be known: the pooler may have passed it on. To a read, which is sent again, it may give the stray answer to the first.
    const isRead = what.includes('read')
    if (!isRead && error) expect(error.name).toBe('OutcomeUnknownError')
    if (!isRead && !error) expect(await stored()).toBe(1)
    expect(await stored()).toBeLessThanOrEqual(1)
    await vi.waitFor(async () => expect((await pool.query('select 7 as n')).rows).toEqual([{ n: 7 }]), PATIENCE)
    // Nothing of what was asked is left in the way of the next ones.
    for (const n of [1, 2, 3]) expect((await pool.query('select $1::int as n', [n])).rows).toEqual([{ n }])
    expect(pool.stats()).toMatchObject({ fleetTrouble: 1 })
  })

  test('what is sent before the answer to the question whether a statement is lost gets its own', { timeout: PATIENT }, async () => {
    await using pooler = await startPooler(server)
    const pool = member()
    const errors: Error[] = []
    pool.on('error', (error) => errors.push(error))
    await pool.query('select 1')
    await vi.waitFor(() => expect(pool.stats().fleet?.looks).toBe(1), PATIENCE)
    proxy.setDelay({ toServerMillis: 2000 })
    const client = await pool.connect()
    const answer = client.query('insert into orders values (1) returning id')
    await new Promise((resolve) => setTimeout(resolve, 50))
    // Meanwhile another pool of the process meets a pooler there.
    proxy.setDelay({})
    proxy.moveTo(pooler)
    const other = member()
    await other.query('select 1')
    await vi.waitFor(() => expect(other.stats().fleetTrouble).toBe(1), PATIENCE)
    // The answer to the question comes after what is sent next.
    proxy.setDelay({ toServerMillis: 200 })
    expect((await answer).rows).toEqual([{ id: 1 }])
    client.release()
    for (const n of [1, 2, 3]) expect((await pool.query('select $1::int as n', [n])).rows).toEqual([{ n }])
    expect(errors).toEqual([])
    expect(pool.stats()).toMatchObject({ connected: 1, outcome: 0 })
    await endPools()
  })

  test('is another one for each pool with the option `stream`, which may lead anywhere', { timeout: PATIENT }, async () => {
    await using pooler = await startPooler(server)
    const via = (port: number) => ({ stream: () => Object.assign(new Socket(), { connect: connectTo(port) }) }) as unknown as PoolConfig
    await member(via(server.port)).query('select 1')
    await vi.waitFor(() => expect(pools[0]?.stats().fleet?.looks).toBe(1), PATIENCE)
    const pool = member(via(pooler.port))
    for (const n of [1, 2, 3]) expect((await pool.query('select $1::int as n', [n])).rows).toEqual([{ n }])
    expect(pooler.bytesDropped).toBe(0)
    expect(pool.stats()).toMatchObject({ connected: 1, fleetTrouble: 1 })
  })
})

/** Whatever the host and the port are. */
function connectTo(port: number) {
  return function (this: Socket) {
    return Socket.prototype.connect.call(this, { port, host: '127.0.0.1' } as never)
  }
}
