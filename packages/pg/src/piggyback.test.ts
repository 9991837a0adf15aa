/** Reads that take the proof with them: what crosses the wire, by the proxy's count, and who is told what. */

import { Socket } from 'node:net'
import type { ThawEvent } from '@thaw/core'
import stock from 'pg'
import { afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { proxy, server, useFreshProxy } from '../test/one-server.ts'
import { createTimerClock } from '../test/timer-clock.ts'
import { Pool, type PoolConfig } from './index.ts'

useFreshProxy({ record: true })

/** A second, which is the default, is little on a busy machine. */
const PATIENCE = { timeout: 20_000 }
const FOREVER_MILLIS = 60_000
/** What workerd calls the host of a binding. */
const HYPERDRIVE = '0123abcd.hyperdrive.local'
const SYNC = 'S\0\0\0\x04'
/** Parse of nothing, and Flush. */
const PROOF = 'P\0\0\0\x08\0\0\0\0H\0\0\0\x04'

let pool: Pool
let events: ThawEvent[]
const stopped: number[] = []

const clock = createTimerClock()

function createPool(config: PoolConfig = {}): Pool {
  const connectionString = proxy.urlFor(server.url)
  // Slow machines are no fault here: only the tests of races hedge.
  pool = new Pool({ connectionString, max: 1, idleTimeoutMillis: 0, hedge: false, clock, ...config } as PoolConfig)
  pool.subscribe((event) => events.push(event))
  return pool
}

/** What went to the server in one flight, and how many round trips it took. */
async function sent(work: () => Promise<unknown>): Promise<{ text: string; roundTrips: number }> {
  const [flow] = proxy.flows
  const before = { chunks: flow?.chunks.length ?? 0, roundTrips: proxy.counters.roundTrips }
  await work()
  const chunks = flow?.chunks.slice(before.chunks) ?? []
  const text = chunks.filter(({ direction }) => direction === 'to-server').map(({ data }) => data.toString('latin1'))
  return { text: text.join('|'), roundTrips: proxy.counters.roundTrips - before.roundTrips }
}

const ways = () => events.flatMap((event) => (event.type === 'acquired' ? event.how : []))

beforeAll(() => server.query('create table read_me as select n from generate_series(1, 3) n'))
beforeEach(async () => {
  clock.reset()
  events = []
})
afterEach(async () => {
  for (const pid of stopped.splice(0)) process.kill(pid, 'SIGCONT')
  await pool.end({ timeoutMillis: 1000 })
})

test(
  'with a listener of acquire that runs a statement the connection is probed, and that statement goes out behind the probe',
  PATIENCE,
  async () => {
    createPool({ probeTimeoutMillis: 500 })
    pool.on('acquire', (client) => void client.query("set app.user_id = '7'"))
    await pool.query('select 1')
    clock.skip(1000)
    const { text } = await sent(async () => {
      const { rows } = await pool.query("select current_setting('app.user_id') as id, pg_sleep(0.8)")
      expect(rows[0].id).toBe('7')
    })
    expect(text.startsWith(SYNC)).toBe(true)
    expect(text).not.toContain(PROOF)
    expect(events.map(({ type }) => type)).not.toContain('stale')
    expect(ways()).toEqual(['new', 'probed'])
  },
)

test('connections that are handed out with the proof on its way are not counted as dead', PATIENCE, async () => {
  createPool({ max: 3 })
  for (const client of await Promise.all([1, 2, 3].map(() => pool.connect()))) client.release()
  clock.skip(1000)
  await Promise.all([1, 2, 3].map(() => pool.query('select n from read_me')))
  expect(events.filter(({ type }) => type === 'socketsPolled')).toEqual([{ type: 'socketsPolled', idle: 3, dead: 0 }])
  expect(ways().slice(3)).toEqual(['piggybacked', 'piggybacked', 'piggybacked'])
})

describe('a read on a connection that was silent', () => {
  test.each([
    ['a text', 'select n from read_me order by n'],
    ['with values', { text: 'select n from read_me where n > $1 order by n', values: [0] }],
    ['named', { name: 'mine', text: 'select n from read_me order by n' }],
    ['rows as arrays', { text: 'select n from read_me order by n', rowMode: 'array' }],
  ])('costs its own round trip and no other: %s', async (_form, query) => {
    createPool()
    await pool.query('select 1')
    clock.skip(1000)
    const answers: stock.QueryResult[] = []
    const { text, roundTrips } = await sent(async () => answers.push(await pool.query(query as never)))
    expect(roundTrips).toBe(1)
    expect(text.startsWith(PROOF)).toBe(true)
    // One submit, one Sync.
    expect(text).not.toContain('|')
    expect(text.split(SYNC)).toHaveLength(2)
    expect(ways()).toEqual(['new', 'piggybacked'])
    // As plain pg answers it.
    const plain = new stock.Client(server.url)
    await plain.connect()
    const { rows, fields, command, rowCount }: stock.QueryResult = await plain.query(query as never)
    await plain.end()
    expect(answers).toMatchObject([{ rows, fields, command, rowCount }])
  })

  test('a named one keeps its name: it is parsed once, and only when it was', async () => {
    createPool({ keepOnSqlError: true })
    const named = { name: 'wrong', text: 'select n from not_there' }
    await pool.query('select 1')
    clock.skip(1000)
    await expect(pool.query(named)).rejects.toMatchObject({ code: '42P01' })
    await server.query('create table not_there as select 7 as n')
    clock.skip(1000)
    // Had pg taken the proof's answer for the statement's, it would not parse it now.
    expect((await pool.query(named)).rows).toEqual([{ n: 7 }])
    clock.skip(1000)
    const { text } = await sent(() => pool.query(named))
    expect(text).not.toContain('not_there')
    expect(ways()).toEqual(['new', 'piggybacked', 'piggybacked', 'piggybacked'])
    expect(pool.totalCount).toBe(1)
  })

  test.each([
    ['a write', 'insert into read_me select 1 where false'],
    ['a function that is not known', 'select set_config($1, $2, true)', ['a.b', 'c']],
    ['several statements', 'select 1; select 2'],
    ['a text with a parameter and no value: another error in the extended protocol', 'select 1 where $1'],
    ['one that would see its own portal', 'select name from pg_cursors'],
    ['one that would see that it began later than its transaction', 'select statement_timestamp() = now()'],
    ['a portal', { text: 'select 1', rows: 10 }],
    ['one whose result would come as bytes, which the simple protocol has not', { text: 'select 1.5 as n', binary: true }],
    [
      'a class of the user’s own',
      new (class Mine {
        readonly text = 'select 1'
      })(),
    ],
  ])('is asked first if it is %s', async (_what, text, values?: unknown[]) => {
    createPool()
    await pool.query('select 1')
    clock.skip(1000)
    await pool.query(text as string, values).catch((error) => expect(error).toMatchObject({ code: '42P02' }))
    expect(ways().slice(0, 2)).toEqual(['new', 'probed'])
  })

  test('and everything else is asked first where it is switched off, results come as bytes, or pg pipelines', async () => {
    for (const config of [{ piggybackProbe: false }, { binary: true } as PoolConfig, { pipeline: true } as PoolConfig]) {
      events = []
      createPool(config)
      await pool.query('select 1')
      clock.skip(1000)
      await pool.query('select 1')
      expect(ways()).toEqual(['new', 'probed'])
      await pool.end()
    }
    createPool()
  })

  test.each([
    ['a connection string of a binding', (url: URL) => ({ connectionString: Object.assign(url, { hostname: HYPERDRIVE }).href })],
    ['its host', ({ username, password, pathname }: URL) => ({ host: HYPERDRIVE, user: username, password, database: pathname.slice(1) })],
  ])('is probed first through Hyperdrive, unless the caller wants it otherwise: %s', async (_what, configOf) => {
    for (const [given, way] of [
      [{}, 'probed'],
      [{ piggybackProbe: true }, 'piggybacked'],
    ] as const) {
      events = []
      // That name does not resolve here: each connection attempt is led to the proxy.
      const stream = () => {
        const socket = new Socket()
        const connect = socket.connect.bind(socket)
        return Object.assign(socket, { connect: () => connect(proxy.port, proxy.host) })
      }
      createPool({ connectionString: undefined, stream, ...configOf(new URL(proxy.urlFor(server.url))), ...given } as PoolConfig)
      await pool.query('select 1')
      clock.skip(1000)
      await pool.query('select 1')
      const bytes = proxy.flows.at(-1)?.chunks.map(({ data }) => data.toString('latin1')) ?? []
      expect([ways(), bytes.join('').includes(PROOF)]).toEqual([['new', way], way === 'piggybacked'])
      if (way === 'probed') await pool.end()
    }
  })

  test('an ordinary error of it is an ordinary error', async () => {
    createPool({ keepOnSqlError: true })
    await pool.query('select 1')
    clock.skip(1000)
    await expect(pool.query('select 1 / n from read_me where n = 0 or 1 / (n - 1) = 1')).rejects.toMatchObject({ code: '22012' })
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
    expect(pool.totalCount).toBe(1)
  })

  test('ten at once, each with its probe, on ten connections', async () => {
    createPool({ max: 10 })
    const clients = await Promise.all(Array.from({ length: 10 }, () => pool.connect()))
    for (const client of clients) client.release()
    clock.skip(1000)
    const before = proxy.counters.roundTrips
    await Promise.all(Array.from({ length: 10 }, () => pool.query('select n from read_me')))
    expect(proxy.counters.roundTrips - before).toBe(10)
    expect(pool.stats()).toMatchObject({ probed: 0, connected: 10 })
  })

  test('a slow one is told from a dead connection: the proof is there before its answer', async () => {
    createPool({ hedge: true, probeTimeoutMillis: 20_000 })
    await pool.query('select 1')
    clock.skip(1000)
    const before = proxy.flows[0]?.chunks.length ?? 0
    const blocker = new stock.Client(server.url)
    await blocker.connect()
    await blocker.query('begin; lock table read_me')
    const answer = pool.query('select n from read_me')
    const answers = () => proxy.flows[0]?.chunks.slice(before).filter(({ direction }) => direction === 'to-client') ?? []
    await vi.waitFor(() => expect(answers()).toHaveLength(1), PATIENCE)
    expect(answers()[0]?.data.toString('latin1')).toBe('1\0\0\0\x04')
    await blocker.end()
    await answer
  })
})

describe('a piggybacked probe without an answer', () => {
  async function pidOf(): Promise<number> {
    return (await pool.query('select pg_backend_pid() as pid')).rows[0].pid
  }

  test('on a dropped connection: another one serves, and the statement runs where it can change nothing', async () => {
    createPool({ hedge: true, probeTimeoutMillis: FOREVER_MILLIS })
    await pool.query('select 1')
    clock.skip(1000)
    proxy.cut('drop')
    expect((await pool.query('select n from read_me where n = 2')).rows).toEqual([{ n: 2 }])
    expect(ways()).toEqual(['new', 'piggybacked', 'new'])
    expect(events).toContainEqual(expect.objectContaining({ type: 'outcome', statement: 'read', action: 'retried' }))
    expect(pool.stats()).toMatchObject({ stale: 0, total: 2 })
  })

  test('costs no caller its request, however many there are', async () => {
    createPool({ max: 20 })
    const clients = await Promise.all(Array.from({ length: 20 }, () => pool.connect()))
    for (const client of clients) client.release()
    clock.skip(1000)
    expect(proxy.cut('rst-on-next-byte')).toBe(20)
    await Promise.all(Array.from({ length: 20 }, () => pool.query('select n from read_me')))
    expect(pool.stats()).toMatchObject({ retried: 20, stale: 20 })
  })

  test('nor does session state that a caller has left: that is reported', async () => {
    createPool()
    await pool.query('set application_name to mine')
    clock.skip(1000)
    proxy.cut('rst-on-next-byte')
    expect((await pool.query('select n from read_me where n = 2')).rows).toEqual([{ n: 2 }])
    expect(pool.stats()).toMatchObject({ sessionLost: 1 })
  })

  test('costs nothing either where the pool is ended meanwhile', async () => {
    createPool()
    await pool.query('select 1')
    clock.skip(1000)
    proxy.cut('rst-on-next-byte')
    const answer = pool.query('select n from read_me where n = 2')
    const ended = pool.end()
    expect((await answer).rows).toEqual([{ n: 2 }])
    await ended
    createPool()
  })

  test('is raced through a wrapped connect, too', async () => {
    createPool({ hedge: true, probeTimeoutMillis: FOREVER_MILLIS })
    await pool.query('select 1')
    const connect = pool.connect.bind(pool)
    pool.connect = ((callback: never) => connect(callback)) as never
    clock.skip(1000)
    proxy.cut('drop')
    expect((await pool.query('select n from read_me where n = 2')).rows).toEqual([{ n: 2 }])
  })

  test('on a slow connection: the first answer counts, whichever it is, and nothing is evicted', async () => {
    createPool({ max: 2, hedge: true, probeTimeoutMillis: FOREVER_MILLIS })
    const pid = await pidOf()
    process.kill(pid, 'SIGSTOP')
    stopped.push(pid)
    clock.skip(1000)
    expect(await pidOf()).not.toBe(pid)
    for (const one of stopped.splice(0)) process.kill(one, 'SIGCONT')
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ total: 2, idle: 2, stale: 0 }), PATIENCE)
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  })

  test('on a slow connection: what turns out to write where it may not is left to the first', async () => {
    await server.query(`create table looks (n int); create function look() returns int language sql begin atomic insert into looks values (7) returning n; end;
      create view watched as select look() as n`)
    createPool({ hedge: true, probeTimeoutMillis: FOREVER_MILLIS })
    const pid = await pidOf()
    process.kill(pid, 'SIGSTOP')
    stopped.push(pid)
    clock.skip(1000)
    const answer = pool.query('select n from watched')
    answer.catch(() => {})
    await vi.waitFor(() => expect(pool.stats()).toMatchObject({ connected: 2, total: 1 }), PATIENCE)
    for (const one of stopped.splice(0)) process.kill(one, 'SIGCONT')
    expect((await answer).rows).toEqual([{ n: 7 }])
    expect((await server.query('select n from looks')).rows).toEqual([{ n: 7 }])
  })

  test('without hedging it is destroyed at the hard stop, and the statement is sent again', async () => {
    createPool({ probeTimeoutMillis: 200 })
    await pool.query('select 1')
    clock.skip(1000)
    proxy.cut('drop')
    expect((await pool.query('select n from read_me where n = 2')).rows).toEqual([{ n: 2 }])
    expect(pool.stats()).toMatchObject({ total: 1, retried: 1 })
  })

  test.each([
    [true, 'raced'],
    [false, 'not raced'],
  ])('under a short query_timeout of the pool, whose time begins with the proof (hedge: %s)', async (hedge) => {
    createPool({ query_timeout: 500, probeTimeoutMillis: 700, hedge })
    await pool.query('select 1')
    clock.skip(1000)
    proxy.cut('drop')
    expect((await pool.query('select n from read_me where n = 2')).rows).toEqual([{ n: 2 }])
  })

  test('that lives keeps to the query_timeout of the pool all the same', async () => {
    createPool({ query_timeout: 150, probeTimeoutMillis: 10_000 })
    await pool.query('select 1')
    clock.skip(1000)
    await expect(pool.query('select pg_sleep(60)')).rejects.toMatchObject({ kind: 'deadline' })
    expect(ways()).toContain('piggybacked')
  })

  test('that dies is sent again, and teaches nothing about other silences', async () => {
    createPool()
    await pool.query('select 1')
    clock.skip(1000)
    proxy.cut('rst-on-next-byte')
    expect((await pool.query('select n from read_me where n = 2')).rows).toEqual([{ n: 2 }])
    expect(pool.stats()).toMatchObject({ total: 1, retried: 1, stale: 1 })
    clock.skip(6000)
    await pool.query('select 1')
    expect(events.filter((event) => event.type === 'stale').map((event) => event.reason)).toEqual(['broken'])
    expect(pool.stats()).toMatchObject({ connected: 2 })
  })
})

test('a tracing tool that wraps query and connect sees one of each', async () => {
  const seen: string[] = []
  class Traced extends stock.Client {
    override query(...values: never[]): never {
      const [config] = values as unknown as [string | { text: string }]
      seen.push(typeof config === 'string' ? config : config.text)
      return Reflect.apply(super.query, this, values) as never
    }
  }
  createPool({ Client: Traced as never })
  const { connect } = pool
  pool.connect = function traced(this: Pool, ...values: never[]) {
    seen.push('connect')
    return Reflect.apply(connect, this, values)
  } as typeof connect
  await pool.query('select 1')
  clock.skip(1000)
  await pool.query('select 2')
  expect(seen).toEqual(['connect', 'select 1', 'connect', 'select 2'])
  expect(ways()).toEqual(['new', 'piggybacked'])
})

test('a wrapper of connect that takes its time does not mistake one statement for another', async () => {
  createPool({ max: 2 })
  const clients = await Promise.all([pool.connect(), pool.connect()])
  for (const client of clients) client.release()
  const connect = pool.connect.bind(pool)
  pool.connect = ((callback: never) => void setImmediate(() => connect(callback))) as never
  clock.skip(1000)
  const several = pool.query('insert into read_me select 9 where false; select 4 as n')
  expect((await pool.query('select 5 as n')).rows).toEqual([{ n: 5 }])
  expect(await several).toMatchObject([{ command: 'INSERT' }, { rows: [{ n: 4 }] }])
})
