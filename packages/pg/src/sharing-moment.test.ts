/** Quick reads that are issued at one moment go out together, though every connection rests; plain pg beside it takes one for each. */

import stock from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { ask, clockOfFaster, createPool, PATIENCE, pool, proxy, server, TEN, teach, useSharingWorld } from '../test/sharing-world.ts'
import type { PoolConfig } from './index.ts'

useSharingWorld()

/** For so long it was asleep. */
let asleepMillis = 0

/** A machine so many times as fast: what is asked at once is of one moment, and the server takes next to nothing for it, however busy this one is. */
const isQuick = (times = 1000) => {
  asleepMillis = 0
  const clock = clockOfFaster(times)
  return { clock: { ...clock, wall: () => clock.wall() + asleepMillis } }
}

const backends = (answers: readonly stock.QueryResult[]) => new Set(answers.map(({ rows }) => rows[0].pid))
const numbers = (answers: readonly stock.QueryResult[]) => answers.map(({ rows }) => rows[0].n)

async function createTen(config: object, listener: (client: object) => void = () => {}): Promise<void> {
  createPool({ max: 10, ...config } as never)
  pool.on('connect', listener)
  await teach(10)
  expect(pool.idleCount).toBe(10)
}

describe('ten quick reads on ten idle connections', () => {
  test('take ten of plain pg', async () => {
    const plain = new stock.Pool({ connectionString: server.url, max: 10 })
    onTestFinished(() => plain.end())
    const read = (index: number) => plain.query('select $1::int as n, pg_backend_pid() as pid', [index])
    await Promise.all(TEN.map(read))
    expect(backends(await Promise.all(TEN.map(read))).size).toBe(10)
  })

  test.each([{ share: 'auto' as const }, { share: true }])('take two at most with %o, and each caller gets its own', async ({ share }) => {
    await createTen({ share, ...isQuick() })
    // What is at the other end is asked with reads that would have shared.
    for (let turn = 0; turn < 3; turn++) await Promise.all(TEN.map(ask))
    const before = proxy.counters.roundTrips
    const answers = await Promise.all(TEN.map(ask))
    expect(numbers(answers)).toEqual(TEN)
    expect(backends(answers).size).toBeLessThanOrEqual(2)
    expect(proxy.counters.roundTrips - before).toBeLessThanOrEqual(3)
    expect(pool.idleCount).toBe(10)
  })

  test('callers whose answers come together go on together', async () => {
    await createTen({ share: true, ...isQuick() })
    const told: number[] = []
    const caller = async (index: number) => {
      for (let turn = 0; turn < 20; turn++) told.push((await ask(index)).rows[0].n - index)
    }
    const before = proxy.counters.roundTrips
    await Promise.all(TEN.map(caller))
    expect(told).toEqual(Array(200).fill(0))
    // Two connections, and one answer at a time on each.
    expect(proxy.counters.roundTrips - before).toBeLessThanOrEqual(100)
  })

  test.each<[string, PoolConfig, (client: object) => void]>([
    ['share: false', { share: false } as PoolConfig, () => {}],
    // Its login tells a PID of its own.
    ['a pooler in front', { share: 'auto' }, (client) => Object.assign(client, { processID: 1 })],
  ])('take ten with %s', async (_, config, listener) => {
    await createTen({ ...config, ...isQuick() }, listener)
    for (let turn = 0; turn < 3; turn++) await Promise.all(TEN.map(ask))
    const answers = await Promise.all(TEN.map(ask))
    expect(numbers(answers)).toEqual(TEN)
    expect(backends(answers).size).toBe(10)
  })

  test('take ten if a listener counts the connections', async () => {
    await createTen({ share: true, ...isQuick() })
    pool.on('acquire', () => {})
    expect(backends(await Promise.all(TEN.map(ask))).size).toBe(10)
  })

  test('on connections with state of their session, they take those without it', async () => {
    await createTen({ share: true, ...isQuick() })
    const clients = await Promise.all(Array.from({ length: 8 }, () => pool.connect()))
    for (const client of clients) await client.query("set application_name = 'mine'")
    const theirs = clients.map((client) => (client as unknown as { processID: number }).processID)
    for (const client of clients) client.release()
    const answers = await Promise.all(TEN.map(ask))
    expect(numbers(answers)).toEqual(TEN)
    const pids = answers.map(({ rows }) => rows[0].pid)
    const shared = pids.filter((pid, index) => pids.indexOf(pid) !== index)
    expect(shared.filter((pid) => theirs.includes(pid))).toEqual([])
  })
})

test('what takes the server longer than a write of its own has connections of its own', async () => {
  await createTen({ share: true })
  const read = (index: number) => pool.query('select $1::int as n, pg_backend_pid() as pid, pg_sleep(0.001)', [index])
  for (let turn = 0; turn < 3; turn++) await read(0)
  for (let turn = 0; turn < 5; turn++) await Promise.all(TEN.map(read))
  expect(backends(await Promise.all(TEN.map(read))).size).toBe(10)
})

test('one of them is slow all the same: the others are answered on connections that rest', PATIENCE, async () => {
  await createTen({ share: true, ...isQuick(20) })
  const read = (index: number, seconds: number) =>
    pool.query('select $1::int as n, pg_backend_pid() as pid, case when $2 > 0 then pg_sleep($2::float8) end', [index, seconds])
  for (let turn = 0; turn < 3; turn++) await Promise.all([0, 1, 2, 3].map((index) => read(index, 0)))
  const told: number[] = []
  await Promise.all(TEN.map((index) => read(index, index === 5 ? 2 : 0).then(({ rows }) => told.push(rows[0].n))))
  expect(told.at(-1)).toBe(5)
  expect(told.toSorted()).toEqual(TEN)
})

test('none is behind another where the retry budget is spent: it could not be raced there', PATIENCE, async () => {
  createPool({ max: 40, share: true, ...isQuick() } as never)
  await teach(40)
  expect(backends(await Promise.all(TEN.map(ask))).size).toBeLessThanOrEqual(2)
  let isSpent = false
  while (!isSpent) {
    const client = await pool.connect()
    const { localPort } = (client as unknown as { connection: { stream: { localPort: number } } }).connection.stream
    client.release()
    proxy.flows.find(({ clientPort }) => clientPort === localPort)?.cut('rst-on-next-byte')
    await ask(1).catch(() => (isSpent = true))
  }
  // A loss casts doubt on the others. None of them was asked anything for which the budget would grow.
  const proven = await Promise.all(Array.from({ length: pool.totalCount }, () => pool.connect()))
  for (const client of proven) client.release()
  expect(pool.idleCount).toBeGreaterThanOrEqual(10)
  expect(backends(await Promise.all(TEN.map(ask))).size).toBe(10)
})

test('a freeze in the middle of such a moment is noticed by the next read, which joins none', async () => {
  await createTen({ share: true, ...isQuick() })
  for (let turn = 0; turn < 3; turn++) await Promise.all(TEN.map(ask))
  const before = TEN.slice(0, 5).map(ask)
  asleepMillis = 3_600_000
  const after = TEN.slice(5).map(ask)
  expect(pool.stats().thawed).toBe(1)
  expect(numbers(await Promise.all([...before, ...after]))).toEqual(TEN)
})

test.each(['fin', 'rst'] as const)('%s while they are under way: all are sent again, and answered', async (kind) => {
  await createTen({ share: true, ...isQuick() })
  for (let turn = 0; turn < 3; turn++) await Promise.all(TEN.map(ask))
  const all = Promise.all(TEN.map(ask))
  proxy.cut(kind)
  expect(numbers(await all)).toEqual(TEN)
})

test.each([15, 1])('a page of three reports of %d ms and five quick reads: none of these waits for a report', async (reportMillis) => {
  await createTen({ share: true })
  const report = (index: number) => pool.query(`select pg_sleep($1::float8 / 1000), pg_backend_pid() as pid, ${index} as n`, [reportMillis])
  const page = () => Promise.all([...[0, 1, 2].map(report), ...TEN.slice(0, 5).map(ask)])
  for (let turn = 0; turn < 30; turn++) await page()
  for (let turn = 0; turn < 5; turn++) {
    const answers = await page()
    const [reports, reads] = [backends(answers.slice(0, 3)), backends(answers.slice(3))]
    expect(numbers(answers)).toEqual([0, 1, 2, 0, 1, 2, 3, 4])
    expect([...reads].filter((pid) => reports.has(pid))).toEqual([])
  }
})
