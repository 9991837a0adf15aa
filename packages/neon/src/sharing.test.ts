/** Reads that share one WebSocket: Neon's driver is made of pg 8.8, which knows of no pipeline. */

import { Client } from '@neondatabase/serverless'
import { systemClock } from '@thaw/core'
import { afterEach, expect, test } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { Pool } from './index.ts'

useOneNeon()

const TEN = Array.from({ length: 10 }, (_, index) => index)

let pool: Pool

function createPool(config: object): void {
  pool = new Pool({ connectionString: neon.url, max: 1, ...config })
}

const ask = (index: number) => pool.query('select $1::int as n, pg_backend_pid() as pid', [index])

afterEach(() => pool.end({ timeoutMillis: 1000 } as never))

test('ten at once are one flight, and each gets its own answer', async () => {
  createPool({ share: true })
  await pool.query('select 1')
  neon.network.counters.reset()
  const answers = await Promise.all(TEN.map(ask))
  expect(answers.map(({ rows }) => rows[0].n)).toEqual(TEN)
  // The first one leaves at once.
  expect(neon.network.counters.roundTrips).toBeLessThanOrEqual(3)
})

test('an error in the middle is its own, and named ones are parsed once', async () => {
  createPool({ share: true })
  await pool.query('select 1')
  const answers = await Promise.allSettled([
    ask(0),
    pool.query('select nonsense'),
    ask(2),
    pool.query('select 1 / $1::int', [0]),
    pool.query({ name: 'mine', text: 'select $1::int as n', values: [4] }),
    pool.query({ name: 'mine', text: 'select $1::int as n', values: [5] }),
    pool.query({ text: 'select 6 as n', rowMode: 'array' }),
    ask(7),
  ])
  const told = answers.map((answer) =>
    answer.status === 'fulfilled' ? (answer.value.rows[0].n ?? answer.value.rows[0][0]) : answer.reason.code,
  )
  expect(told).toEqual([0, '42703', 2, '22012', 4, 5, 6, 7])
  await Promise.all(TEN.map(ask))
  expect(pool.totalCount).toBe(1)
})

test('ten of one text are one run: one is refused, the others are answered', async () => {
  createPool({ share: true })
  const part = (divisor: number) => pool.query('select 100 / $1::int as n', [divisor])
  for (let turn = 0; turn < 12; turn++) await Promise.all([part(1), part(2)])
  neon.network.counters.reset()
  const answers = await Promise.allSettled(TEN.map(part))
  expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.rows[0].n : answer.reason.code))).toEqual(
    TEN.map((divisor) => (divisor === 0 ? '22012' : Math.floor(100 / divisor))),
  )
  expect(neon.network.counters.roundTrips).toBeLessThanOrEqual(4)
})

/** pg 8.8 sends its Parse, and then nothing more. */
const unsendable = () =>
  Object.assign(() => 1, {
    toString: () => {
      throw new Error('not to be sent')
    },
  })

test.each([0, 3, 9])('number %i has a value that cannot be sent: no other caller gets the rows of another', async (bad) => {
  createPool({ share: true })
  await pool.query('select 1')
  for (const name of ['', 'mine']) {
    const answers = await Promise.allSettled(
      TEN.map((index) => pool.query({ name, text: 'select $1::int as n', values: [index === bad ? unsendable() : index] })),
    )
    const told = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.rows[0].n : answer.reason.message))
    expect(told).toEqual(TEN.map((index) => (index === bad ? 'not to be sent' : index)))
  }
  expect((await Promise.all(TEN.map(ask))).map(({ rows }) => rows[0].n)).toEqual(TEN)
})

test.each(['', 'mine'])('the next one, asked by a callback, cannot be sent (name: "%s")', async (name) => {
  createPool({ share: true })
  await pool.query({ name, text: 'select $1::int as n', values: [0] })
  const told: unknown[] = []
  const note = (answer: ReturnType<typeof ask>) =>
    answer.then(
      ({ rows }) => told.push(rows[0].n),
      ({ message }) => told.push(message),
    )
  const all = [note(ask(0)), note(ask(1))]
  await new Promise<void>((resolve) => {
    pool.query('select 2 as n', () => {
      all.push(note(pool.query({ name, text: 'select $1::int as n', values: [unsendable()] })), note(ask(3)), note(ask(4)))
      resolve()
    })
  })
  await Promise.all(all)
  expect(told).toEqual([0, 1, 'not to be sent', 3, 4])
})

test('a WebSocket that is lost with eight on it: all are answered', async () => {
  createPool({ share: true })
  await pool.query('select 1')
  const slow = pool.query('select pg_sleep(0.3), 0 as n')
  const answers = Promise.all([slow, ...TEN.slice(1, 8).map(ask)])
  await new Promise((resolve) => setImmediate(resolve))
  neon.network.cut('rst')
  expect((await answers).map(({ rows }) => rows[0].n)).toEqual([0, 1, 2, 3, 4, 5, 6, 7])
})

test("'auto' shares where the pid that was told at login is the backend's", async () => {
  createPool({ share: 'auto' })
  const answers = await Promise.all(TEN.map(ask))
  expect(answers.map(({ rows }) => rows[0].n)).toEqual(TEN)
  const client = await pool.connect()
  const isDirect = answers[0]?.rows[0].pid === (client as unknown as { readonly processID: number }).processID
  client.release()
  neon.network.counters.reset()
  await Promise.all(TEN.map(ask))
  if (isDirect) expect(neon.network.counters.roundTrips).toBeLessThanOrEqual(3)
  else expect(neon.network.counters.roundTrips).toBeGreaterThanOrEqual(10)
})

test.each([{ rows: 1 }, { portal: 'mine' }, { name: 'mine' }])(
  '%o, set while it waits for a connection: each has its own row',
  async (change) => {
    createPool({ share: true })
    const configs = TEN.map((n) => ({ text: 'select $1::int as n', values: [n] }))
    const answers = configs.map((config) => pool.query(config))
    for (const config of configs) if (config.values[0] !== 1) Object.assign(config, change)
    expect((await Promise.all(answers)).map(({ rows }) => rows.map(({ n }) => n))).toEqual(TEN.map((n) => [n]))
    expect((await Promise.all(TEN.map(ask))).map(({ rows }) => rows[0].n)).toEqual(TEN)
  },
)

test('a submit that puts off what it writes: each has its own row', async () => {
  createPool({ share: true })
  for (let round = 0; round < 3; round++) await Promise.all(TEN.map(ask))
  const { prototype } = (Client as unknown as { Query: { prototype: { submit(this: object, connection: object): unknown } } }).Query
  const { submit } = prototype
  prototype.submit = function (connection) {
    setImmediate(() => submit.call(this, connection))
    return null
  }
  try {
    for (let round = 0; round < 3; round++) expect((await Promise.all(TEN.map(ask))).map(({ rows }) => rows[0].n)).toEqual(TEN)
  } finally {
    prototype.submit = submit
  }
})

test('the stream of a connection is a getter: each has its own row', async () => {
  createPool({ share: true })
  pool.on('connect', (client: unknown) => {
    const { connection } = client as unknown as { connection: { readonly stream: unknown } }
    const { stream } = connection
    Object.defineProperty(connection, 'stream', { get: () => stream, configurable: true })
  })
  for (let round = 0; round < 3; round++) expect((await Promise.all(TEN.map(ask))).map(({ rows }) => rows[0].n)).toEqual(TEN)
})

test('a statement that is nothing but a comment is answered in its turn', async () => {
  createPool({ share: true })
  const ping = () => pool.query({ name: 'ping', text: '-- ping' })
  await pool.query('select 1')
  for (const one of [ping, () => ask(0)]) for (const _ of TEN) await Promise.all([one(), one()])
  const pings = TEN.slice(0, 4).map(ping)
  const answers = await Promise.all(TEN.map(ask))
  expect((await Promise.all(pings)).map(({ rows }) => rows)).toEqual([[], [], [], []])
  expect(answers.map(({ rows }) => rows[0].n)).toEqual(TEN)
})

test('quick reads of one moment go out together, though connections rest', async () => {
  const began = { wall: systemClock.wall(), mono: systemClock.mono() }
  const slowed = (from: number, now: number) => from + (now - from) / 1000
  // A machine a thousand times as fast: all are of one moment.
  const clock = { ...systemClock, wall: () => slowed(began.wall, systemClock.wall()), mono: () => slowed(began.mono, systemClock.mono()) }
  createPool({ max: 10, clock })
  const clients = await Promise.all(TEN.map(() => pool.connect()))
  for (const client of clients) client.release()
  for (let turn = 0; turn < 4; turn++) await Promise.all(TEN.map(ask))
  expect(pool.idleCount).toBe(10)
  const answers = await Promise.all(TEN.map(ask))
  expect(answers.map(({ rows }) => rows[0].n)).toEqual(TEN)
  expect(new Set(answers.map(({ rows }) => rows[0].pid)).size).toBeLessThanOrEqual(2)
})
