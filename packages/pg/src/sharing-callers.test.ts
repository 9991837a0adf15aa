/** What reads that share a connection have beside them: async contexts, listeners of the pool that ask, a signal of one of them, fake timers. */

import { AsyncLocalStorage } from 'node:async_hooks'
import type stock from 'pg'
import { describe, expect, test, vi } from 'vitest'
import { ask, createPool, lock, PATIENCE, pool, proxy, server, TEN, teach, untilLocked, useSharingWorld } from '../test/sharing-world.ts'

useSharingWorld()

const COUNT = 'select count(*)::int as n from read_me'

describe('each caller goes on in its own async context', () => {
  const request = new AsyncLocalStorage<number>()

  /** Ten of them, half by promise and half by callback: in whose context is each answered? */
  const inContexts = (text: string | ((n: number) => string)) =>
    Promise.all(
      TEN.map((n) =>
        request.run(n, () => {
          const asked = typeof text === 'string' ? text : text(n)
          if (n % 2) return pool.query(asked, [n]).then(tell, tell)
          return new Promise((resolve) => pool.query(asked, [n], (error: Error, result) => resolve(tell(error ?? result))))
        }),
      ),
    )
  const tell = (answer: stock.QueryResult | (Error & { code?: string })) => [
    request.getStore(),
    answer instanceof Error ? answer.code : answer.rows[0].n,
  ]
  const own = TEN.map((n) => [n, n])
  const opened = (config: object = {}) => {
    createPool({ hedge: false, ...config })
    return request.run(-1, () => teach(1))
  }

  test('answered', async () => {
    await opened()
    expect(await inContexts('select $1::int as n')).toEqual(own)
  })

  test('refused, and left out with the one that was refused', async () => {
    await opened()
    const text = 'select 1 / ($1::int - 5) as part, $1::int as n'
    for (let turn = 0; turn < 12; turn++) await Promise.all([1, 2, 3].map((n) => pool.query(text, [n])))
    expect(await inContexts(text)).toEqual(TEN.map((n) => [n, n === 5 ? '22012' : n]))
  })

  test('sent again, on another connection', PATIENCE, async () => {
    await opened()
    const unlock = await lock()
    const answers = inContexts((n) => `select $1::int as n${n === 0 ? ', (select count(*) from read_me)' : ''}`)
    await untilLocked()
    proxy.cut('rst')
    await unlock()
    expect(await answers).toEqual(own)
    expect(pool.stats().connected).toBe(2)
  })

  test('raced by another connection', PATIENCE, async () => {
    createPool({ max: 2 })
    await request.run(-1, () => teach(2, COUNT))
    const unlock = await lock()
    const held = await pool.connect()
    const blocked = pool.query(COUNT)
    const behind = inContexts('select $1::int as n, pg_backend_pid() as pid')
    held.release()
    expect(await behind).toEqual(own)
    await unlock()
    await blocked
  })
})

test('listeners of the pool that ask: each has its own rows, and the reads that were lost have theirs', PATIENCE, async () => {
  createPool({ hedge: false })
  const asked: Promise<number>[] = []
  const askAs = (n: number) => () => void asked.push(ask(n).then(({ rows }) => rows[0].n))
  await pool.query('select 1')
  pool.on('connect', askAs(101)).on('remove', askAs(102))
  pool.subscribe(({ type }) => {
    if (type === 'outcome') askAs(103)()
  })
  const unlock = await lock()
  const answers = Promise.all([pool.query(COUNT), ...TEN.slice(1, 8).map(ask)])
  await untilLocked()
  proxy.cut('fin')
  await unlock()
  expect((await answers).map(({ rows }) => rows[0].n)).toEqual([3, 1, 2, 3, 4, 5, 6, 7])
  const told = await Promise.all(asked)
  expect(told.filter((n) => n === 103)).toHaveLength(8)
  expect([...new Set(told)].sort()).toEqual([101, 102, 103])
})

test('a setting that the server reloads in between: its ParameterStatus is no row', PATIENCE, async () => {
  createPool({ hedge: false })
  const heard: unknown[] = []
  pool.on('connect', (client) => {
    const { connection } = client as unknown as { connection: NodeJS.EventEmitter }
    connection.on('parameterStatus', (message: { parameterName: string; parameterValue: string }) => heard.push(message.parameterValue))
  })
  await pool.query('select 1')
  const unlock = await lock()
  const answers = Promise.all([pool.query(COUNT), ...TEN.slice(1, 8).map(ask), pool.query("select current_setting('TimeZone') as n")])
  await untilLocked()
  try {
    await server.query("alter system set timezone = 'Asia/Tokyo'")
    await server.query('select pg_reload_conf()')
    // The postmaster tells its backends one by one.
    await expect.poll(async () => (await server.query('show timezone')).rows, PATIENCE).toMatchObject([{ TimeZone: 'Asia/Tokyo' }])
    expect(heard).not.toContain('Asia/Tokyo')
    await unlock()
    expect((await answers).map(({ rows }) => rows[0].n)).toEqual([3, 1, 2, 3, 4, 5, 6, 7, 'Asia/Tokyo'])
    expect(heard).toContain('Asia/Tokyo')
  } finally {
    await server.query('alter system reset timezone')
    await server.query('select pg_reload_conf()')
  }
})

describe('a signal of one among many', () => {
  test.each([0, 4, 9])('number %i is aborted while they are under way, and no other', PATIENCE, async (which) => {
    createPool({ hedge: false, max: 2 })
    await teach(2)
    const unlock = await lock()
    const controller = new AbortController()
    const answers = Promise.allSettled(
      TEN.map((n) => (n === which ? pool.query({ text: COUNT, signal: controller.signal } as never) : ask(n))),
    )
    await untilLocked()
    controller.abort(new Error('of its own'))
    expect((await answers).map((answer) => (answer.status === 'fulfilled' ? answer.value.rows[0].n : answer.reason.message))).toEqual(
      TEN.map((n) => (n === which ? 'of its own' : n)),
    )
    await unlock()
  })
})

test('fake timers: reads are shared, run together and refused as ever', async () => {
  createPool({ hedge: false })
  const text = 'select 1 / ($1::int - 5) as part, $1::int as n'
  vi.useFakeTimers({ toFake: ['queueMicrotask', 'setTimeout', 'setImmediate', 'setInterval', 'performance', 'Date'] })
  try {
    for (let turn = 0; turn < 12; turn++) await Promise.all([1, 2, 3].map((n) => pool.query(text, [n])))
    const before = proxy.counters.roundTrips
    const answers = await Promise.allSettled(TEN.map((n) => pool.query(text, [n])))
    expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.rows[0].n : answer.reason.code))).toEqual(
      TEN.map((n) => (n === 5 ? '22012' : n)),
    )
    expect(proxy.counters.roundTrips - before).toBeLessThanOrEqual(4)
  } finally {
    vi.useRealTimers()
  }
})
