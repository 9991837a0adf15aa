/** Code of the user's that runs while statements of several readers are gathered for one write. */

import type { Duplex } from 'node:stream'
import type stock from 'pg'
import { expect, test, vi } from 'vitest'
import { ask, createPool, PATIENCE, pool, TEN, useSharingWorld } from '../test/sharing-world.ts'

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
