/** Reads that share a connection that is lost, or slow, or leads to a pooler. */

import { startPooler } from '@thaw/testkit'
import type stock from 'pg'
import { describe, expect, test, vi } from 'vitest'
import {
  ask,
  createPool,
  lock,
  PATIENCE,
  pool,
  proxy,
  sentSince,
  server,
  TEN,
  teach,
  untilLocked,
  useSharingWorld,
} from '../test/sharing-world.ts'

useSharingWorld()

describe('when the connection is lost', () => {
  const COUNT = 'select count(*)::int as n, pg_backend_pid() as pid from read_me'

  /** The first of them waits for a lock. */
  async function eightUnderWay() {
    await pool.query('select 1')
    const unlock = await lock()
    const answers = Promise.allSettled([pool.query(COUNT), ...TEN.slice(1, 8).map(ask)])
    await untilLocked()
    return { answers, unlock }
  }

  const check = (answers: PromiseSettledResult<stock.QueryResult>[]) =>
    expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.rows[0].n : answer.reason))).toEqual([
      3, 1, 2, 3, 4, 5, 6, 7,
    ])

  test.each(['fin', 'rst'] as const)('%s: eight are answered all the same', PATIENCE, async (kind) => {
    createPool()
    const { answers, unlock } = await eightUnderWay()
    proxy.cut(kind)
    await unlock()
    check(await answers)
    expect(pool.stats()).toMatchObject({ connected: 2 })
  })

  test('pg_terminate_backend: eight are answered all the same', PATIENCE, async () => {
    createPool()
    const { answers, unlock } = await eightUnderWay()
    await server.query("select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock'")
    await unlock()
    check(await answers)
  })

  test('drop: they are raced, and the watch detects the first', { timeout: 60_000 }, async () => {
    createPool({ max: 2 })
    await teach(2, COUNT)
    proxy.cut('drop')
    check(await Promise.allSettled([pool.query(COUNT), ...TEN.slice(1, 8).map(ask)]))
    expect(pool.stats().outcome).toBeGreaterThan(0)
  })

  test('a pool that ends meanwhile tells each caller of its own statement', PATIENCE, async () => {
    createPool()
    const { answers, unlock } = await eightUnderWay()
    await pool.end({ timeoutMillis: 50 })
    for (const answer of await answers)
      expect(answer).toMatchObject({ status: 'rejected', reason: { message: expect.stringContaining('pool.end') } })
    await unlock()
    createPool()
  })

  test('the longest burst costs the retry budget one connection', PATIENCE, async () => {
    createPool()
    await pool.query('select 1')
    const ambush = proxy.loseNextAnswer({ containing: 'pg_backend_pid' } as never)
    const answers = await Promise.all(Array.from({ length: 60 }, (_, index) => ask(index)))
    expect(answers.map(({ rows }) => rows[0].n)).toEqual(Array.from({ length: 60 }, (_, index) => index))
    void ambush
  })
})

describe('slow ones', () => {
  const COUNT = 'select count(*)::int as n from read_me'

  test('those behind one that takes longer than ever before are raced on another connection', PATIENCE, async () => {
    createPool({ max: 2 })
    await teach(2, COUNT)
    const told: string[] = []
    pool.subscribe(({ type }) => told.push(type))
    const unlock = await lock()
    const held = await pool.connect()
    const blocked = pool.query(COUNT)
    const behind = TEN.map(ask)
    const pid = (await held.query('select pg_backend_pid() as pid')).rows[0].pid
    held.release()
    const answers = await Promise.all(behind)
    expect(answers.map(({ rows }) => rows[0].n)).toEqual(TEN)
    expect(answers.map(({ rows }) => rows[0].pid)).toEqual(TEN.map(() => pid))
    await unlock()
    expect((await blocked).rows).toEqual([{ n: 3 }])
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ total: 2, idle: 2 }), PATIENCE)
    expect((await ask(7)).rows[0].n).toBe(7)
    // A race is no lost connection.
    expect(told).not.toContain('outcome')
    expect(told).not.toContain('retried')
    expect(pool.stats()).toMatchObject({ retried: 0, outcome: 0 })
  })

  test(
    'a transaction that waits for a read of its own, behind one that waits for the transaction, does not wait for ever',
    PATIENCE,
    async () => {
      createPool({ max: 3 })
      await teach(2, COUNT)
      const client = await pool.connect()
      await client.query('begin; lock table read_me')
      const blocked = pool.query(COUNT)
      expect((await ask(1)).rows[0].n).toBe(1)
      expect((await Promise.all([ask(2), ask(3)])).map(({ rows }) => rows[0].n)).toEqual([2, 3])
      await client.query('commit')
      client.release()
      expect((await blocked).rows).toEqual([{ n: 3 }])
    },
  )

  test('what usually takes long has a connection of its own', PATIENCE, async () => {
    const SLOW = 'select $1::int as n, pg_sleep(0.2), pg_backend_pid() as pid, (select count(*) from read_me) as all'
    createPool({ max: 3 })
    await teach(1)
    for (let turn = 0; turn < 2; turn++) await pool.query(SLOW, [0])
    const unlock = await lock()
    const slow = [pool.query(SLOW, [0]), pool.query(SLOW, [1])]
    const quick = await Promise.all(TEN.map(ask))
    await unlock()
    const slowPids = (await Promise.all(slow)).map(({ rows }) => rows[0].pid)
    for (const { rows } of quick) expect(slowPids).not.toContain(rows[0].pid)
    expect(new Set(slowPids).size).toBe(2)
  })

  test('one of a run takes long by its parameter: it keeps one connection from the others, not two', PATIENCE, async () => {
    const text = 'select $1::int as n, pg_sleep($2::float8)'
    const read = (n: number, seconds: number) => pool.query<{ n: number }>(text, [n, seconds])
    createPool({ max: 2 })
    await teach(2)
    for (let turn = 0; turn < 12; turn++) await Promise.all(TEN.map((n) => read(n, 0)))
    const order: number[] = []
    const asked = TEN.map(async (index) => {
      const { rows } = await read(index, index === 4 ? 3 : 0)
      order.push(rows[0]?.n ?? -1)
    })
    // Raced, it was cancelled by the server, on a connection that is kept.
    await vi.waitFor(() => expect(order).toHaveLength(9), PATIENCE)
    const working = "select from pg_stat_activity where query like '%pg_sleep%' and state = 'active' and pid <> pg_backend_pid()"
    await vi.waitFor(async () => expect((await server.query(working)).rowCount).toBe(1), PATIENCE)
    expect(order).not.toContain(4)
    await Promise.all(asked)
    expect(order.at(-1)).toBe(4)
    expect(pool.stats()).toMatchObject({ total: 2, connected: 2 })
  })

  test('the race is lost by the one that may not write: the first answer is told', PATIENCE, async () => {
    await server.query(`create table looks (n int); create function look() returns int language sql begin atomic insert into looks values (7) returning n; end;
      create view watched as select look() as n`)
    // It writes, and must not be slow by that.
    createPool({ max: 2, options: '-c synchronous_commit=off' })
    const asked = async () => {
      await teach(2, COUNT, 'select n from watched')
      await server.query('truncate looks')
      const unlock = await lock()
      const held = await pool.connect()
      const blocked = pool.query(COUNT)
      const behind = pool.query('select n from watched')
      behind.catch(() => {})
      const isShared = pool.waitingCount === 0
      held.release()
      if (isShared) return { unlock, blocked, behind }
      await unlock()
      await Promise.all([blocked, behind])
      return undefined
    }
    for (let turn = 0; turn < 4; turn++) await teach(2, COUNT, 'select n from watched')
    // On a busy machine it may seem to be slow, until it is known better.
    let out = await asked()
    while (!out) out = await asked()
    const { unlock, blocked, behind } = out
    const refused = "select from pg_stat_activity where query = 'ROLLBACK' and backend_type = 'client backend'"
    await vi.waitFor(async () => expect((await server.query(refused)).rowCount).toBe(1), PATIENCE)
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ total: 2, idle: 1 }), PATIENCE)
    await unlock()
    await blocked
    expect((await behind).rows).toEqual([{ n: 7 }])
    expect((await server.query('select n from looks')).rows).toEqual([{ n: 7 }])
  })

  test('one that may not write there, and whose first connection is lost meanwhile, is a write: unknown', PATIENCE, async () => {
    await server.query(`create table lates (n int); create function late(n int) returns int language plpgsql volatile as
      $$ begin if n > 0 then perform pg_sleep(0.07); insert into lates values (n); end if; return n; end $$;
      create view lateness as select n, late(n) as was from generate_series(0, 1) n`)
    createPool({ max: 2 })
    const read = (n: number) => pool.query('select was from lateness where n = $1', [n])
    await teach(2, COUNT)
    for (let turn = 0; turn < 30; turn++) await Promise.all([read(0), pool.query(COUNT)])
    const unlock = await lock()
    const held = await pool.connect()
    const port = (held as unknown as { connection: { stream: { localPort: number } } }).connection.stream.localPort
    const behind = Promise.allSettled([pool.query(COUNT), read(1)])
    await untilLocked()
    held.release()
    const [first, second] = proxy.flows.filter(({ state }) => state === 'open').sort((one) => (one.clientPort === port ? 1 : -1))
    const isRaced = () => second?.chunks.some(({ data }) => data.includes('BEGIN READ ONLY'))
    await vi.waitFor(() => expect(isRaced()).toBe(true), { timeout: 20_000, interval: 2 })
    expect(first?.cut('rst', { server: 'hold' })).toBe(true)
    await unlock()
    const [, told] = await behind
    expect(told).toMatchObject({ status: 'rejected', reason: { kind: 'outcome-unknown', retryable: false } })
  })
})

describe("'auto'", () => {
  test.each([
    ['with parameters', ask],
    ['without', (index: number) => pool.query(`select ${index} as n`)],
    ['named', (index: number) => pool.query({ name: 'mine', text: 'select $1::int as n', values: [index] })],
  ])('asks which backend answers in the flight of the first statement, and shares from then on: %s', async (_form, send) => {
    createPool({ share: 'auto' })
    const before = proxy.counters.roundTrips
    const answers = await Promise.all(TEN.map(send))
    expect(answers.map(({ rows }) => rows[0].n)).toEqual(TEN)
    // A dial has three, or four.
    expect(proxy.counters.roundTrips - before).toBeLessThanOrEqual(6)
    const question =
      sentSince(0)
        .join('')
        .match(/pg_backend_pid\(\)(?= AS pid|\0\0\0B)/g) ?? []
    expect(question.length).toBe(1)
    expect(answers.map(({ fields, command }) => [fields[0]?.name, command])).toEqual(TEN.map(() => ['n', 'SELECT']))
  })

  test('a caller that is alone does not ask', async () => {
    createPool({ share: 'auto' })
    for (const index of TEN) await pool.query(`select ${index} as n`)
    expect(sentSince(0).join('')).not.toContain('pg_backend_pid')
  })

  test('behind a pooler nothing is shared, and everybody is answered', PATIENCE, async () => {
    await using pooler = await startPooler(server)
    createPool({ share: 'auto', connectionString: pooler.urlFor(server.url) })
    for (let turn = 0; turn < 3; turn++) {
      const answers = await Promise.all([...TEN.map(ask), pool.query('select pg_sleep(0.1), 10 as n'), ask(11)])
      expect(answers.map(({ rows }) => rows[0].n)).toEqual([...TEN, 10, 11])
    }
    await pool.end()
  })

  test(
    'true, behind a pooler that passes its session on at the first ReadyForQuery (supavisor#1061): answers are lost',
    PATIENCE,
    async () => {
      await using pooler = await startPooler(server)
      createPool({ share: true, query_timeout: 500, connectionString: pooler.urlFor(server.url) })
      await pool.query('select 1')
      const answers = await Promise.allSettled([ask(0), ask(1), pool.query('select pg_sleep(0.1), 2 as n'), ask(3)])
      expect(answers.map(({ status }) => status)).toContain('rejected')
      await pool.end({ timeoutMillis: 100 })
    },
  )
})
