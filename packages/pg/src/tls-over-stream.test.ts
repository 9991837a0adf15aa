/** TLS over a stream of the user's own, such as a tunnel: why a statement was ended is told as over a socket. */

import { connect } from 'node:net'
import { Duplex } from 'node:stream'
import { type PostgresServer, startPostgres } from '@thaw/testkit'
import type stock from 'pg'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { Pool } from './index.ts'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres({ tls: true })
})

afterAll(() => server.close())

/** What carries bytes, and is no socket. */
function tunnel(port: number, host: string): Duplex {
  const inner = connect(port, host).pause()
  const stream = new Duplex({
    read: () => void inner.resume(),
    write: (chunk, _, done) => void inner.write(chunk, done),
    final: (done) => void inner.end(done),
    destroy(error, done) {
      inner.destroy()
      done(error)
    },
  })
  inner.on('data', (chunk) => void (stream.push(chunk) || inner.pause()))
  inner.on('end', () => stream.push(null))
  inner.on('error', (error) => stream.destroy(error))
  inner.on('close', () => stream.destroy())
  const itself = () => stream
  return Object.assign(stream, {
    connect: () => setImmediate(() => stream.emit('connect')),
    setNoDelay: itself,
    setKeepAlive: itself,
    ref: itself,
    unref: itself,
  })
}

const READ = 'select pg_sleep(3)'
const WRITE = 'create temporary table slow as select pg_sleep(3) is null as nothing'

for (const isTunnel of [true, false]) {
  test.each([
    ['query_timeout of a read', READ, () => ({ query_timeout: 100 }), { name: 'DeadlineError' }],
    ['the signal of a read', READ, () => ({ signal: AbortSignal.timeout(100) }), { name: 'TimeoutError' }],
    ['query_timeout of a write', WRITE, () => ({ query_timeout: 100 }), { message: expect.stringMatching(/^Query read timeout/) }],
    [
      'the signal of a write',
      WRITE,
      () => ({ signal: AbortSignal.timeout(100) }),
      { message: expect.stringMatching(/aborted due to timeout/) },
    ],
  ])(`${isTunnel ? 'a tunnel' : 'a socket'}: %s`, async (_, text, bound, expected) => {
    const { hostname, port } = new URL(server.url)
    const stream = isTunnel && { stream: () => tunnel(Number(port), hostname) }
    const pool = new Pool({ connectionString: server.url, max: 1, ssl: { ca: server.ca }, ...stream } as never)
    onTestFinished(() => pool.end())
    pool.on('error', () => {})
    await expect(pool.query({ text, ...bound() } as stock.QueryConfig)).rejects.toMatchObject(expected)
    const client = await pool.connect()
    await expect(client.query({ text, ...bound() } as stock.QueryConfig)).rejects.toMatchObject(expected)
    client.release()
  })
}
