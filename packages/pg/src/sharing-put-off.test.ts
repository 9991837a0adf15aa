/** Code of the user's around `submit` that puts off what is written: another statement's answer must not be taken for that of the one that is late. */

import type { Socket } from 'node:net'
import stock from 'pg'
import { afterEach, describe, expect, test } from 'vitest'
import { ask, createPool, PATIENCE, pool, server, TEN, useSharingWorld } from '../test/sharing-world.ts'

useSharingWorld()

type Submit = (this: object, connection: object) => unknown
const prototype = (stock as unknown as { Query: { prototype: { submit: Submit } } }).Query.prototype
const { submit } = prototype
afterEach(() => {
  prototype.submit = submit
})

/** As one caller each: half of them have no values, and go by the simple protocol. */
const askEither = (n: number) => (n % 2 ? ask(n) : pool.query(`select ${n} as n`))

async function expectOwnRows(rounds: number): Promise<void> {
  for (let round = 0; round < rounds; round++)
    expect((await Promise.all(TEN.map(askEither))).map(({ rows }) => rows.map(({ n }) => n))).toEqual(TEN.map((n) => [n]))
}

describe.each([
  ['a tick', (work: () => void) => process.nextTick(work)],
  ['a promise', (work: () => void) => void Promise.resolve().then(work)],
  ['a turn of the event loop', (work: () => void) => void setImmediate(work)],
  ['a timer', (work: () => void) => void setTimeout(work, 2)],
])('put off by %s', (_, later) => {
  test.each([1, 3])('from the beginning, on %i connections: each has its own row', PATIENCE, async (max) => {
    createPool({ hedge: false, max })
    prototype.submit = function (connection) {
      later(() => submit.call(this, connection))
      return null
    }
    await expectOwnRows(3)
  })

  test.each([0, 1, 4])('from number %i of a flight on, and each third only', PATIENCE, async (first) => {
    createPool({ hedge: false })
    await expectOwnRows(2)
    let count = 0
    prototype.submit = function (connection) {
      if (count++ % 3 !== first % 3 || count <= first) return submit.call(this, connection)
      later(() => submit.call(this, connection))
      return null
    }
    await expectOwnRows(4)
  })

  test('only its Sync', PATIENCE, async () => {
    createPool({ hedge: false })
    await expectOwnRows(2)
    const [client] = (pool as unknown as { _clients: { connection: { sync(): void } }[] })._clients
    const connection = client?.connection as { sync(): void }
    const sync = connection.sync.bind(connection)
    connection.sync = () => later(sync)
    await expectOwnRows(3)
  })
})

describe('put off in', () => {
  interface Writer {
    transaction(fn: (client: stock.ClientBase) => Promise<unknown>): Promise<unknown>
    batch(statements: object[]): Promise<unknown>
  }
  const insert = (n: number) => ({ text: 'insert into kept values ($1)', values: [n] })
  const ways: Record<string, (writer: Writer) => Promise<unknown>> = {
    'a transaction': (writer) => writer.transaction((client) => client.query(insert(1))),
    'the end of a transaction': (writer) =>
      writer.transaction(async (client) => {
        await client.query(insert(1))
        putOff()
      }),
    'a batch': (writer) => writer.batch([insert(1), insert(2)]),
    'a write once': () => pool.query({ ...insert(1), once: true } as never),
  }
  const putOff = () => {
    prototype.submit = function (connection) {
      setImmediate(() => submit.call(this, connection))
      return null
    }
  }

  test.each(Object.keys(ways))('%s: it is refused, and nothing is stored', PATIENCE, async (way) => {
    await server.query('drop table if exists kept; create table kept (n int)')
    createPool({ hedge: false })
    if (way !== 'the end of a transaction') putOff()
    await expect(ways[way]?.(pool as unknown as Writer)).rejects.toThrow('must write before it returns')
    prototype.submit = submit
    expect((await server.query('select n from kept')).rows).toEqual([])
    expect((await ask(7)).rows[0].n).toBe(7)
  })
})

test.each(['from the beginning', 'from then on'])(
  'the socket of a connection is a getter, %s: each has its own row',
  PATIENCE,
  async (when) => {
    createPool({ hedge: false })
    const fix = (client: unknown) => {
      const { connection } = client as { connection: { readonly stream: Socket } }
      const { stream } = connection
      Object.defineProperty(connection, 'stream', { get: () => stream, configurable: true })
    }
    if (when === 'from the beginning') pool.on('connect', fix)
    else {
      await expectOwnRows(2)
      for (const client of (pool as unknown as { _clients: unknown[] })._clients) fix(client)
    }
    await expectOwnRows(3)
    const paged = { text: 'select $1::int as n from generate_series(1, 3)', values: [5], rows: 2 }
    expect((await pool.query(paged)).rows.map(({ n }) => n)).toEqual([5, 5, 5])
    expect(pool.stats()).toMatchObject({ connected: 1 })
  },
)
