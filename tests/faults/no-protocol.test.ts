/**
 * A `Client` of the user's own that does not speak PostgreSQL's protocol: a mock of a unit test, an in-memory database (pg-mem's adapter names itself as its connection).
 *
 * What breaks: nothing. Such a client has no socket, so it cannot be watched, asked or destroyed. With plain `pg` it works for as long as the process lives. So it does with Thaw,
 * which trusts it: a probe would be written nowhere, or throw where no caller could catch it. (`@thaw/neon` makes its clients itself, as Neon's driver does.)
 */

import { EventEmitter } from 'node:events'
import { OptionError, Pool as ThawPool } from '@thaw/pg'
import { createStoppableClock } from '@thaw/testkit'
import pg from 'pg'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { failure } from './setting.ts'

type Answer = (error: Error | null, result: { rows: object[] }) => void

class Mock extends EventEmitter {
  connect(done: () => void): void {
    setImmediate(done)
  }

  query(text: string | { text: string }, values?: unknown, callback?: Answer): unknown {
    const result = { rows: [{ text: typeof text === 'string' ? text : text.text }] }
    const answer = typeof values === 'function' ? (values as Answer) : callback
    if (!answer) return Promise.resolve(result)
    return void setImmediate(() => answer(null, result))
  }

  end(done?: () => void): void {
    if (done) setImmediate(done)
  }
}

/** No more than pg-pool needs. */
class Least {
  readonly #mock = new Mock()
  connect = (done: () => void) => this.#mock.connect(done)
  query = (text: string, values?: unknown, callback?: Answer) => this.#mock.query(text, values, callback)
  end = (done?: () => void) => this.#mock.end(done)
  on(): void {}
  once(): void {}
  removeListener(): void {}
}

const CLASSES = {
  'no connection': Mock,
  'itself as its connection': class extends Mock {
    readonly connection = this
    release(): void {}
  },
  'a connection without a socket': class extends Mock {
    readonly connection = new EventEmitter()
  },
  'a connection with a socket that cannot be written to': class extends Mock {
    readonly connection = { stream: { destroy() {} } }
  },
  'no more than pg-pool needs': Least,
}

const POOLS = { pg: pg.Pool, Thaw: ThawPool }

let pool: pg.Pool
let clock: ReturnType<typeof createStoppableClock>
let uncaught: string[] = []
let listeners: NodeJS.UncaughtExceptionListener[] = []
const note = ({ message }: Error) => void uncaught.push(message)

beforeEach(() => {
  uncaught = []
  clock = createStoppableClock()
  listeners = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', note)
})
afterEach(() => {
  process.off('uncaughtException', note)
  for (const listener of listeners) process.on('uncaughtException', listener)
})

const texts = ['A', 'B', 'C', 'D', 'E']

/** What each of several callers is answered who come at once, and one that holds a client. */
async function ask(): Promise<string[]> {
  const answers = await Promise.all(texts.map((text) => pool.query(text)))
  const client = await pool.connect()
  const held = await client.query('held')
  // Released under a statement.
  client.query('late').catch(() => {})
  client.release()
  return [...answers, held].map(({ rows }) => rows[0].text)
}

describe.each(Object.entries(POOLS))('%s: a client with', (_pool, Pool) => {
  test.each(Object.entries(CLASSES))('%s serves for ever', async (_what, Client) => {
    const config = { Client, max: 2, clock } as unknown as pg.PoolConfig
    pool = new Pool(config)
    expect(await ask()).toEqual([...texts, 'held'])
    // Longer than a connection is trusted, and a freeze: each would be probed.
    clock.addWall(60_000)
    expect(await ask()).toEqual([...texts, 'held'])
    const client = await pool.connect()
    client.release(new Error('Its caller wants no more of it.'))
    expect(await ask()).toEqual([...texts, 'held'])
    await pool.end()
    expect([pool.totalCount, uncaught]).toEqual([0, []])
  })
})

test.each([
  ['pool.transaction()', (thaw: ThawPool) => thaw.transaction((client) => client.query('SELECT 1'))],
  ['pool.batch()', (thaw: ThawPool) => thaw.batch(['SELECT 1', 'SELECT 2'])],
  ['a statement with a key', (thaw: ThawPool) => thaw.query({ text: 'INSERT INTO t VALUES (1)', idempotencyKey: 'k' })],
])('%s says that it needs the protocol', async (_what, call) => {
  const thaw = new ThawPool({ Client: Mock, max: 1 } as object)
  expect(await failure(call(thaw) as Promise<unknown>)).toMatchObject({ name: OptionError.name, option: 'Client' })
  expect((await thaw.query('A')).rows).toEqual([{ text: 'A' }])
  await thaw.end()
})
