/**
 * Reads of one text that go out together are one run: parsed once for five, in one transaction, answered in one packet. Each caller still has what it would
 * have had by itself.
 */

import { type Clock, systemClock } from '@thaw/core'
import stock from 'pg'
import { describe, expect, test, vi } from 'vitest'
import { clockOfFaster, createPool, PATIENCE, pool, proxy, sentSince, server, TEN, useSharingWorld } from '../test/sharing-world.ts'

useSharingWorld()

/** The second row takes `seconds`; the first is more than what PostgreSQL keeps until it is ready. */
const TEXT = `select $1::int as n, 100 / $2::int as part, repeat('x', 10000) as filler, case when row = 2 then pg_sleep($3::float8) end
  from generate_series(1, 2) row`
interface Ask {
  readonly divisor?: number
  readonly seconds?: number
  readonly query_timeout?: number
}

const read = (n: number, { divisor = 1, seconds = 0, ...bounds }: Ask = {}) =>
  pool.query<{ n: number }>({ text: TEXT, values: [n, divisor, seconds], ...bounds } as never)

/** Time in which every text is quick, however slow the machine is. */
const isQuick = () => {
  let now = 0
  const clock: Clock = { ...systemClock, mono: () => (now += 0.001) }
  return { clock }
}

/** The same, but what takes a second takes long. */
const isSlowed = () => ({ clock: clockOfFaster(20) })

/** The connection is shared, and the text is known to be quick. */
async function createTaught(config: object = {}): Promise<void> {
  createPool({ hedge: false, ...config } as never)
  for (let turn = 0; turn < 12; turn++) await Promise.all([read(0), read(0)])
}

interface Flight {
  readonly parsed: number
  readonly executed: number
  readonly synced: number
}

function flights(before: number): Flight[] {
  return sentSince(before).map((chunk) => {
    const types = typesIn(Buffer.from(chunk, 'latin1'))
    const count = (type: string) => types.filter((one) => one === type).length
    return { parsed: count('P'), executed: count('E'), synced: count('S') }
  })
}

function typesIn(bytes: Buffer): string[] {
  const types: string[] = []
  for (let at = 0; at + 5 <= bytes.length; at += 1 + bytes.readInt32BE(at + 1)) types.push(String.fromCharCode(bytes[at] ?? 0))
  return types
}

const chunksBefore = () => proxy.flows[0]?.chunks.length ?? 0
const numbers = (results: readonly { readonly rows: readonly { readonly n: number }[] }[]) => results.map(({ rows }) => rows[0]?.n)

describe('on the wire', () => {
  test('ten reads of one text: two are parsed, one Sync', async () => {
    await createTaught(isQuick())
    const before = chunksBefore()
    expect(numbers(await Promise.all(TEN.map((n) => read(n))))).toEqual(TEN)
    expect(flights(before)).toEqual([{ parsed: 2, executed: 10, synced: 1 }])
  })

  test('named ones are not parsed again, and have one Sync, too', async () => {
    createPool({ hedge: false, ...isQuick() } as never)
    const named = (n: number) => pool.query({ name: 'mine', text: 'select $1::int as n', values: [n] })
    for (let turn = 0; turn < 12; turn++) await Promise.all([named(0), named(1)])
    const before = chunksBefore()
    expect(numbers(await Promise.all(TEN.map(named)))).toEqual(TEN)
    expect(flights(before)).toEqual([{ parsed: 0, executed: 10, synced: 1 }])
  })

  test('of two texts each has a run of its own', async () => {
    await createTaught(isQuick())
    const other = (n: number) => pool.query<{ n: number }>('select $1::int + 1 as n', [n])
    for (let turn = 0; turn < 12; turn++) await Promise.all([other(0), other(0)])
    const before = chunksBefore()
    const results = await Promise.all([read(1), read(2), other(2), other(3), read(5)])
    expect(numbers(results)).toEqual([1, 2, 3, 4, 5])
    expect(flights(before)).toEqual([{ parsed: 3, executed: 5, synced: 3 }])
  })

  test('each has the form that it asked for', async () => {
    await createTaught(isQuick())
    const format = { getTypeParser: (_oid: number, as?: string) => () => as ?? 'text' }
    const forms = [{}, { rowMode: 'array' }, { binary: true, types: format }, { types: format }, { binary: true }] as const
    const before = chunksBefore()
    const results = await Promise.all([...forms, ...forms].map((form, n) => pool.query<never>({ text: TEXT, values: [n, 1, 0], ...form })))
    const rows = results.map(({ rows: [row] }) => row as unknown as { n: unknown } | unknown[])
    const told = rows.map((row) => (Array.isArray(row) ? `row ${row[0]}` : row.n))
    expect(told).toEqual([0, 'row 1', 'binary', 'text', 4, 5, 'row 6', 'binary', 'text', 9])
    expect(flights(before).map(({ executed, synced }) => ({ executed, synced }))).toEqual([{ executed: 10, synced: 1 }])
  })

  test('what takes long goes out by itself', async () => {
    createPool({ hedge: false })
    for (let turn = 0; turn < 3; turn++) await pool.query('select 1')
    for (let turn = 0; turn < 3; turn++) await read(0, { seconds: 0.02 })
    await Promise.all([read(0), read(0)])
    const before = chunksBefore()
    await Promise.all([read(1), read(2), read(3)])
    const sent = flights(before)
    expect(sent.reduce((sum, { synced }) => sum + synced, 0)).toBe(3)
  })
})

describe('one of a run is refused', () => {
  test.each([0, 3, 9])('number %i: the error is its own, the others are answered in one round trip more', async (wrong) => {
    await createTaught(isQuick())
    const before = proxy.counters.roundTrips
    const results = await Promise.allSettled(TEN.map((n) => read(n, { divisor: n === wrong ? 0 : 1 })))
    expect(results.map((result) => (result.status === 'fulfilled' ? result.value.rows[0]?.n : result.reason.code))).toEqual(
      TEN.map((n) => (n === wrong ? '22012' : n)),
    )
    expect(results.every((result) => result.status === 'rejected' || result.value.rows.length === 2)).toBe(true)
    expect(proxy.counters.roundTrips - before).toBeLessThanOrEqual(4)
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ connected: 1, total: 1, idle: 1 }), PATIENCE)
  })

  test('all of them: each is told', async () => {
    await createTaught()
    const results = await Promise.allSettled(TEN.map((n) => read(n, { divisor: 0 })))
    expect(results.map((result) => result.status === 'rejected' && result.reason.code)).toEqual(TEN.map(() => '22012'))
  })

  test('the text cannot be parsed any more', async () => {
    await server.query('create table soon_gone as select 1 as n')
    createPool({ hedge: false })
    const gone = (n: number) => pool.query('select n, $1::int from soon_gone', [n])
    for (let turn = 0; turn < 12; turn++) await Promise.all([gone(0), gone(1)])
    await server.query('drop table soon_gone')
    const results = await Promise.allSettled(TEN.map(gone))
    expect(results.map((result) => result.status === 'rejected' && result.reason.code)).toEqual(TEN.map(() => '42P01'))
  })

  test('a value that cannot be sent', async () => {
    await createTaught()
    const bad = {
      toPostgres: () => {
        throw new Error('not to be sent')
      },
    }
    const values = [1, 2, bad, 4, 5]
    const results = await Promise.allSettled(values.map((value) => pool.query(TEXT, [[value], 1, 0].flat())))
    expect(results.map((result) => (result.status === 'fulfilled' ? result.value.rows[0].n : result.reason.message))).toEqual([
      1,
      2,
      'not to be sent',
      4,
      5,
    ])
  })

  test('statement_timeout counts for each', async () => {
    await createTaught({ statement_timeout: 400 })
    const results = await Promise.allSettled([read(0, { seconds: 0.25 }), read(1, { seconds: 0.25 }), read(2, { seconds: 30 }), read(3)])
    expect(results.map((result) => (result.status === 'fulfilled' ? result.value.rows[0]?.n : result.reason.code))).toEqual([
      0,
      1,
      '57014',
      3,
    ])
  })
})

/** A view may write, which no text shows. One row each of more than PostgreSQL keeps; number 7 takes long, and is refused. */
describe('what the server has finished is told when its transaction has ended', () => {
  const LOGGED = 'select id, logged, filler from logged_view where id = $1'

  test.each([
    ['one is refused at last', 1],
    ['one is refused at last', 2],
    ['the connection is lost', 1],
  ] as const)('%s, max: %i: what is told is stored, once', PATIENCE, async (how, max) => {
    await server.query(`create table if not exists log (who int);
      create or replace function log_it(who int) returns int language plpgsql as $$ begin insert into log values (who);
        if who = 7 then perform pg_sleep(1.5); raise exception 'seven'; end if; return who; end $$;
      create or replace view logged_view as select id, log_it(id) as logged, repeat('x', 12000) as filler from generate_series(1, 10) id`)
    const run = async (of: Pick<stock.Pool, 'query'>) => {
      for (let turn = 0; turn < 12; turn++) await Promise.all([1, 2].map((id) => of.query(LOGGED, [id])))
      await server.query('truncate log')
      const asked = Promise.allSettled([1, 2, 3, 4, 5, 7].map((id) => of.query<{ id: number }>(LOGGED, [id])))
      if (how === 'the connection is lost') {
        const working = `from pg_stat_activity where state = 'active' and query = '${LOGGED}'`
        await vi.waitFor(
          async () => expect((await server.query(`select ${working} and wait_event = 'PgSleep'`)).rowCount).toBe(1),
          PATIENCE,
        )
        await server.query(`select pg_terminate_backend(pid) ${working}`)
      }
      const told = (await asked).flatMap((answer) => (answer.status === 'fulfilled' ? (answer.value.rows[0]?.id ?? 0) : []))
      return { told, stored: (await server.query<{ who: number }>('select who from log order by who')).rows.map(({ who }) => who) }
    }
    const plain = new stock.Pool({ connectionString: server.url, max })
    plain.on('error', () => {})
    const asByPg = await run(plain)
    await plain.end()
    expect(asByPg.stored).toEqual(asByPg.told)
    createPool({ max, options: '-c synchronous_commit=off', ...isSlowed() } as never)
    const { told, stored } = await run(pool)
    expect(stored).toEqual(expect.arrayContaining(told))
    expect(new Set(stored).size).toBe(stored.length)
    if (how === 'one is refused at last') expect(told).toEqual([1, 2, 3, 4, 5])
  })
})

describe('one of a run takes long, and the server has answered those ahead', () => {
  const isAnswered = () => vi.waitFor(() => expect(proxy.flows[0]?.chunks.at(-1)?.direction).toBe('to-client'), PATIENCE)

  test('their bounds do not end them: their answers are there', async () => {
    await createTaught()
    const results = await Promise.allSettled([
      read(0, { query_timeout: 500 }),
      read(1, { query_timeout: 500 }),
      read(2, { seconds: 1.5 }),
      read(3),
    ])
    expect(results.map((result) => (result.status === 'fulfilled' ? result.value.rows[0]?.n : result.reason.message))).toEqual([0, 1, 2, 3])
  })

  test('its own bound ends it, and the others are answered', async () => {
    await createTaught()
    const results = await Promise.allSettled([read(0), read(1), read(2, { seconds: 30, query_timeout: 300 }), read(3)])
    expect(results.map((result) => (result.status === 'fulfilled' ? result.value.rows[0]?.n : 'ended'))).toEqual([0, 1, 'ended', 3])
  })

  test('the connection is lost: all are answered, on another', async () => {
    await createTaught()
    const asked = Promise.all([read(0), read(1), read(2, { seconds: 0.7 }), read(3)])
    await isAnswered()
    proxy.cut('rst')
    const results = await asked
    expect(numbers(results)).toEqual([0, 1, 2, 3])
    expect(results.map(({ rows }) => rows.length)).toEqual([2, 2, 2, 2])
  })

  test('they are late: each is raced where there is room, those in front of the slow one too', PATIENCE, async () => {
    await createTaught({ max: 2, hedge: undefined })
    const order: number[] = []
    const asked = [read(0), read(1), read(2, { seconds: 3 }), read(3)].map(async (one, index) => {
      const { rows } = await one
      order.push(index)
      return rows[0]?.n
    })
    expect(await Promise.all(asked)).toEqual([0, 1, 2, 3])
    expect(order.at(-1)).toBe(2)
  })
})

test('withdrawn before they were sent: the connection is as good as before', async () => {
  await createTaught()
  const first = read(0, { query_timeout: 1 })
  // The time is over before this tick is.
  const until = performance.now() + 20
  while (performance.now() < until);
  await first.catch(() => {})
  expect(numbers(await Promise.all(TEN.map((n) => read(n))))).toEqual(TEN)
  expect(pool.stats()).toMatchObject({ total: 1, idle: 1 })
})

test('ended in the same tick', async () => {
  await createTaught()
  const asked = TEN.map((n) => read(n, { divisor: n === 5 ? 0 : 1 }))
  const ended = pool.end()
  const results = await Promise.allSettled(asked)
  expect(results.map((result) => (result.status === 'fulfilled' ? result.value.rows[0]?.n : result.reason.code))).toEqual(
    TEN.map((n) => (n === 5 ? '22012' : n)),
  )
  await ended
})
