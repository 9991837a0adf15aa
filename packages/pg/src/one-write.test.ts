/** What goes to the socket in one write, and code of the user's that runs meanwhile. */

import type { Duplex } from 'node:stream'
import stock from 'pg'
import { describe, expect, test, vi } from 'vitest'
import { ask, createPool, PATIENCE, pool, server, TEN, useSharingWorld } from '../test/sharing-world.ts'

useSharingWorld()

/** pg's own, as far as a wrapper around one of its methods sees it. */
interface Connection {
  stream: Duplex & { readonly localPort: number; mark?: number }
  sync(): void
}

/** Wraps `sync`, which each statement calls last, on the one connection. Then its answers are those of ten readers at once. */
async function answersWith(after: (connection: Connection) => void): Promise<unknown[]> {
  createPool({ hedge: false, max: 1 })
  const client = await pool.connect()
  client.release()
  const { connection } = client as unknown as { readonly connection: Connection }
  const sync = connection.sync.bind(connection)
  connection.sync = () => {
    sync()
    after(connection)
  }
  const settled = await Promise.allSettled(TEN.map(ask))
  return settled.map((answer) =>
    answer.status === 'fulfilled' ? (answer as PromiseFulfilledResult<stock.QueryResult>).value.rows[0].n : answer.reason,
  )
}

test('callbacks of its writes are called when the bytes are out', PATIENCE, async () => {
  const written = vi.fn()
  const answers = await answersWith(({ stream }) => {
    stream.write(new Uint8Array(0), written)
    stream.write('', 'latin1', written)
  })
  expect(answers).toEqual(TEN)
  await expect.poll(() => written.mock.calls.length).toBe(20)
  expect(written.mock.calls.every(([error]) => !error)).toBe(true)
})

test('it can use the socket as it is used to', PATIENCE, async () => {
  const ports: number[] = []
  const answers = await answersWith(({ stream }) => {
    stream.once('never', () => {})
    stream.removeAllListeners('never')
    stream.mark = stream.localPort
    ports.push(stream.mark, stream.listenerCount('data'))
  })
  expect(answers).toEqual(TEN)
  expect(new Set(ports).size).toBe(2)
  const [client] = (pool as unknown as { _clients: { connection: Connection }[] })._clients
  expect(client?.connection.stream.mark).toBe(client?.connection.stream.localPort)
})

test('what is written to it later goes to the socket', PATIENCE, async () => {
  const kept: Duplex[] = []
  await answersWith(({ stream }) => kept.push(stream))
  const late = await Promise.all(kept.map((stream) => new Promise((resolve) => stream.write(new Uint8Array(0), resolve))))
  expect(late.every((error) => !error)).toBe(true)
})

test('it destroys the socket: all are answered on another one', PATIENCE, async () => {
  let isFirst = true
  const answers = await answersWith(({ stream }) => {
    if (isFirst) stream.destroy()
    isFirst = false
  })
  expect(answers).toEqual(TEN)
})

test('a write that throws is a lost connection, and no caller is told', PATIENCE, async () => {
  createPool({ hedge: false, max: 1 })
  await pool.query('select 1')
  const [client] = (pool as unknown as { _clients: { connection: Connection }[] })._clients
  const stream = client?.connection.stream as Duplex
  const write = stream.write.bind(stream)
  let thrown = 0
  stream.write = ((part: Uint8Array, ...others: []) => {
    // One statement is less than 100 bytes.
    if (part.length < 300) return write(part, ...others)
    thrown++
    throw new Error('this stream does not write')
  }) as typeof write
  const answers = await Promise.all(TEN.map(ask))
  expect(answers.map(({ rows }) => rows[0].n)).toEqual(TEN)
  expect(thrown).toBe(1)
})

test('it throws behind a whole statement: its caller is told, and each of the others gets its own row', PATIENCE, async () => {
  let turn = 0
  const answers = await answersWith(() => {
    if (++turn <= TEN.length && turn % 4 === 3) throw new Error('thrown by a wrapper')
  })
  expect(answers.map((answer, index) => (answer instanceof Error ? answer.message : answer === index))).toEqual(
    TEN.map((index) => (index % 4 === 2 ? 'thrown by a wrapper' : true)),
  )
  expect((await ask(41)).rows[0].n).toBe(41)
})

test('it writes Parse and Bind at once: each gets its own row', PATIENCE, async () => {
  createPool({ hedge: false, max: 1 })
  for (let turn = 0; turn < 3; turn++) await Promise.all(TEN.map(ask))
  const client = await pool.connect()
  client.release()
  const { connection } = client as unknown as {
    readonly connection: Record<'parse' | 'bind', (message: object) => void> & { _send(part: Buffer): unknown }
  }
  const { _send: sendPart } = connection
  let parse: Buffer | undefined
  connection._send = (part) => {
    const isParse = part[0] === 0x50
    const first = parse
    parse = isParse ? part : undefined
    return isParse ? true : sendPart.call(connection, first ? Buffer.concat([first, part]) : part)
  }
  expect((await Promise.all(TEN.map(() => ask(7)))).map(({ rows }) => rows[0].n)).toEqual(TEN.map(() => 7))
})

test('callbacks that throw because their value cannot be sent: each of the others gets its own row', PATIENCE, async () => {
  createPool({ hedge: false, max: 1 })
  for (let turn = 0; turn < 3; turn++) await Promise.all(TEN.map(ask))
  const listeners = process.listeners('uncaughtException')
  const uncaught: string[] = []
  process.removeAllListeners('uncaughtException')
  process.on('uncaughtException', ({ message }) => uncaught.push(message))
  try {
    const detached = new Uint8Array(8)
    structuredClone(detached, { transfer: [detached.buffer] })
    const answers = TEN.map((index) => {
      const answer = ask(index)
      if (index > 2 && index < 6)
        pool.query('select $1::int as n, pg_backend_pid() as pid', [detached], (_, result) => void result.rows.length)
      return answer
    })
    expect((await Promise.all(answers)).map(({ rows }) => rows[0].n)).toEqual(TEN)
    expect((await ask(41)).rows[0].n).toBe(41)
    await expect.poll(() => uncaught.length).toBe(3)
  } finally {
    process.removeAllListeners('uncaughtException')
    for (const listener of listeners) process.on('uncaughtException', listener)
  }
})

describe('a statement by itself', () => {
  const NAMED = { name: 'named', text: 'select length($1) as n' }

  /** How often the socket is written to for each statement: pg leaves it to Node to join the pieces. */
  async function writesFor(client: stock.ClientBase, ...statements: [text: string | object, values?: unknown[]][]): Promise<number[]> {
    const { stream } = (client as unknown as { readonly connection: Connection }).connection
    const write = vi.spyOn(stream, 'write')
    const counts: number[] = []
    for (const [text, values] of statements) {
      write.mockClear()
      const { rows } = await client.query(text as string, values)
      expect(rows[0].n).toBe(values ? String(values[0]).length : 1)
      counts.push(write.mock.calls.length)
    }
    write.mockRestore()
    return counts
  }

  test('is one write, however long its way through pg; a large one is not copied', PATIENCE, async () => {
    createPool()
    const client = await pool.connect()
    const plain = new stock.Client(server.url)
    await plain.connect()
    const statements: Parameters<typeof writesFor>[1][] = [
      ['select 1 as n'],
      ['select length($1) as n', ['thaw']],
      [NAMED, ['thaw']],
      [NAMED, ['again']],
      ['select length($1) as n', ['x'.repeat(100_000)]],
    ]
    expect(await writesFor(client, ...statements)).toEqual([1, 1, 1, 1, 5])
    expect(await writesFor(plain, ...statements)).toEqual([1, 5, 5, 4, 5])
    client.release()
    await plain.end()
  })

  test('whose value sends another one while it is written does not mix with it', PATIENCE, async () => {
    const drivers = [new stock.Pool({ connectionString: server.url, max: 2 }), createPool({ share: false, max: 2 })]
    for (const two of drivers) {
      const clients = await Promise.all([two.connect(), two.connect()])
      for (const client of clients) client.release()
      const inner: Promise<stock.QueryResult>[] = []
      const asks = (n: number) => ({ toPostgres: () => inner.push(two.query('select $1::int as n', [n])) && `outer ${n}` })
      for (const n of [1, 2, 3]) {
        const { rows } = await two.query('select $1::text as a, $2::text as b, $3::text as c', ['first', asks(n), 'third'])
        expect(rows).toEqual([{ a: 'first', b: `outer ${n}`, c: 'third' }])
      }
      expect((await Promise.all(inner)).map(({ rows }) => rows[0].n)).toEqual([1, 2, 3])
    }
    await drivers[0]?.end()
  })

  test('whose value cannot be sent fails by itself, and the next one is answered', PATIENCE, async () => {
    createPool()
    const secret = {
      toPostgres() {
        throw new Error('no value')
      },
    }
    for (let turn = 0; turn < 3; turn++) {
      await expect(pool.query('select $1::text as n', [secret])).rejects.toThrow('no value')
      expect((await ask(turn)).rows[0].n).toBe(turn)
    }
    expect(pool.totalCount).toBe(1)
  })

  test('of a class that pg does not know gets the socket itself: a COPY stream keeps it', PATIENCE, async () => {
    createPool()
    const client = await pool.connect()
    const { connection } = client as unknown as { readonly connection: Connection }
    const { stream } = connection
    const seen = await new Promise((resolve) => {
      let socket: unknown
      const nothing = () => {}
      const own = {
        submit(to: Connection & { query(text: string): void }) {
          socket = to.stream
          to.query('select 1')
        },
        handleReadyForQuery: () => resolve(socket),
        ...Object.fromEntries(['RowDescription', 'DataRow', 'CommandComplete', 'Error'].map((message) => [`handle${message}`, nothing])),
      }
      client.query(own as unknown as stock.Submittable)
    })
    expect(seen).toBe(stream)
    client.release()
  })
})
