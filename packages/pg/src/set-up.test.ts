/**
 * `onConnect` takes long, or its connection falls silent under it.
 *
 * What breaks: plain `pg` waits for it for ever, and so does every later caller. PostgreSQL is real, and the proxy drops what is sent.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { startFaultProxy, startPooler } from '@thaw/testkit'
import stock from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { proxy, server, useFreshProxy } from '../test/one-server.ts'
import { Pool, type PoolConfig } from './index.ts'

useFreshProxy()

const PATIENCE = { timeout: 20_000 }
const read = async (pool: stock.Pool) => (await pool.query('select 1 as one')).rows
const told = (asked: Promise<unknown>) => asked.catch((error: Error) => error.message)

type OnConnect = (client: stock.ClientBase, run: number) => unknown

function create(onConnect: OnConnect, config: PoolConfig = {}, Class: typeof stock.Pool = Pool as never) {
  let runs = 0
  const errors: string[] = []
  const pool = new Class({
    connectionString: proxy.urlFor(server.url),
    max: 1,
    onConnect: (client: stock.ClientBase) => onConnect(client, ++runs),
    ...config,
  } as never)
  pool.on('error', ({ message }) => errors.push(message))
  onTestFinished(async () => {
    if (pool instanceof Pool && !pool.ending) await pool.end({ timeoutMillis: 1000 })
  })
  return { pool, errors, runs: () => runs }
}

/** What is sent on the first connection from now on vanishes. */
const silentOnce =
  (how: Parameters<typeof proxy.cut>[1] = {}, on = () => proxy): OnConnect =>
  (client, run) => {
    if (run === 1) on().cut('drop', how)
    return client.query('select 1')
  }

/** Attempts under way are no waiting callers, and take a place. */
async function expectNothingLeft(pool: stock.Pool): Promise<void> {
  const held = await pool.connect()
  const waiting = read(pool)
  await sleep(50)
  expect([pool.totalCount, pool.waitingCount]).toEqual([1, 1])
  held.release()
  expect(await waiting).toEqual([{ one: 1 }])
}

test.each<[string, OnConnect]>([
  [
    'its own work, and a statement',
    async (client) => {
      await sleep(1300)
      await client.query('select 1')
    },
  ],
  ['a statement', (client) => client.query('select pg_sleep(4)')],
])('one that takes long is run once: %s', PATIENCE, async (_, onConnect) => {
  const { pool, errors, runs } = create(onConnect)
  expect(await Promise.all([read(pool), read(pool)])).toEqual([[{ one: 1 }], [{ one: 1 }]])
  expect(runs()).toBe(1)
  expect(errors).toEqual([])
  expect(proxy.flows.length).toBeLessThanOrEqual(3)
})

test.each([
  [true, 'is still there', {}],
  [false, 'is still there', {}],
  [true, 'is gone', { server: 'close' }],
  [false, 'is gone', { server: 'close' }],
] as const)('its connection falls silent, hedge: %s, its backend %s: another one serves its callers', PATIENCE, async (hedge, _, how) => {
  const { pool } = create(silentOnce(how), { hedge })
  expect(await Promise.all([read(pool), read(pool)])).toEqual([[{ one: 1 }], [{ one: 1 }]])
  await expectNothingLeft(pool)
})

test(
  'it rejects on a connection that has fallen silent: the caller is told within a second or so, and nothing is left',
  PATIENCE,
  async () => {
    const { pool, errors } = create((_, run) => {
      if (run > 1) return
      proxy.cut('drop')
      throw new Error('of the hook')
    })
    const since = performance.now()
    expect(await told(read(pool))).toBe('of the hook')
    expect(performance.now() - since).toBeLessThan(2000)
    expect(await read(pool)).toEqual([{ one: 1 }])
    await expectNothingLeft(pool)
    expect(errors).toEqual([])
  },
)

test('its connection dies, and it never settles: the attempt is made anew', PATIENCE, async () => {
  const { pool } = create(async (_, run) => {
    if (run > 1) return
    proxy.cut('rst')
    await new Promise(() => {})
  })
  expect(await read(pool)).toEqual([{ one: 1 }])
})

test('it never settles: after the time that a caller has, another connection serves', PATIENCE, async () => {
  const { pool, errors } = create((_, run) => (run === 1 ? new Promise(() => {}) : undefined), { connectionTimeoutMillis: 1500 })
  expect(await told(read(pool))).toMatch('timeout exceeded')
  expect(await read(pool)).toEqual([{ one: 1 }])
  await sleep(1100)
  await expectNothingLeft(pool)
  expect(errors).toEqual([])
})

test.each([{}, { timeoutMillis: 100 }])(
  'the pool ends (%o) while it is at work: no error is told of its connection',
  PATIENCE,
  async (how) => {
    const { pool, errors } = create(() => sleep(3000), { connectionTimeoutMillis: 500 })
    const asked = told(read(pool))
    await sleep(100)
    await (pool as unknown as Pool).end(how)
    expect(await asked).toMatch(/timeout exceeded|after calling end/)
    await sleep(50)
    expect(errors).toEqual([])
  },
)

test('behind a pooler the server cannot be asked: another connection is opened beside the silent one', PATIENCE, async () => {
  await using pooler = await startPooler(server, { sessions: 3 })
  await using between = await startFaultProxy(pooler)
  const { pool } = create(
    silentOnce({}, () => between),
    { connectionString: between.urlFor(server.url) },
  )
  expect(await read(pool)).toEqual([{ one: 1 }])
})

test('plain pg: no caller is ever served again', PATIENCE, async () => {
  const { pool } = create(silentOnce(), { connectionTimeoutMillis: 1500 }, stock.Pool)
  const first = told(read(pool))
  await sleep(5000)
  expect(await told(read(pool))).toMatch('timeout exceeded')
  expect(await Promise.race([first, sleep(0).then(() => 'still waiting')])).not.toEqual([{ one: 1 }])
})
