/** Transactions and batches through Hyperdrive send no Flush: statements that contain one sometimes hang there, https://github.com/cloudflare/cloudflare-docs/pull/33555. */

import { Socket } from 'node:net'
import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Pool, type PoolConfig } from './index.ts'

const FLUSH = 'H\0\0\0\x04'

let server: PostgresServer
let proxy: FaultProxy

beforeAll(async () => {
  server = await startPostgres()
  proxy = await startFaultProxy(server, { record: true })
})
afterAll(async () => {
  await proxy.close()
  await server.close()
})

/** That name does not resolve here: each connection attempt is led to the proxy. */
function stream(): Socket {
  const socket = new Socket()
  const connect = socket.connect.bind(socket)
  return Object.assign(socket, { connect: () => connect(proxy.port, proxy.host) })
}

test.each([
  ['through Hyperdrive', 'binding.hyperdrive.local', {}, false],
  ['through Hyperdrive, where its user says that it may', 'binding.hyperdrive.local', { piggybackProbe: true }, true],
  ['to PostgreSQL', 'db.example', {}, true],
])('%s', async (_way, hostname, given, flushes) => {
  const { href } = Object.assign(new URL(proxy.urlFor(server.url)), { hostname })
  const pool = new Pool({ connectionString: href, stream, max: 1, ...given } as PoolConfig)
  for (const call of [() => pool.batch(['select 1'], { once: false }), () => pool.transaction((client) => client.query('select 1'))]) {
    const before = proxy.flows.length
    await call()
    const sent = proxy.flows.slice(before).flatMap(({ chunks }) => chunks.filter(({ direction }) => direction === 'to-server'))
    expect(sent.some(({ data }) => data.toString('latin1').includes(FLUSH))).toBe(flushes)
    // The next one is the first of a new connection again.
    for (const client of [await pool.connect()]) client.release(true)
  }
  await pool.end()
})
