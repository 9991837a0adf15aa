/**
 * Stopping a statement at the server, wherever its connection goes.
 *
 * What breaks: a CancelRequest carries the secret of a connection. Sent to the host and port of the configuration, in clear, it reaches a stranger where
 * connections are made by the `stream` option, and another server where a name has several addresses; the statement runs on. Plain `pg` sends none at all.
 */

import dns from 'node:dns'
import { once } from 'node:events'
import net from 'node:net'
import { Client, Pool, type PoolConfig } from '@thaw/pg'
import { startFaultProxy, startPostgres } from '@thaw/testkit'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { activeBackends, failure, useSetting } from './setting.ts'

const setting = useSetting({ tls: true })
const SLEEP = 'SELECT pg_sleep(60)'
const open: net.Server[] = []

afterEach(() => {
  for (const server of open.splice(0)) server.close()
  vi.restoreAllMocks()
})

async function listen(host: string, port: number, welcome: (socket: net.Socket) => void): Promise<number> {
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    welcome(socket)
  })
  open.push(server)
  server.listen(port, host)
  await once(server, 'listening')
  return (server.address() as net.AddressInfo).port
}

/** A configuration whose host and port belong to another server, which records what it receives. */
async function amongStrangers(stream: () => net.Socket) {
  const heard: Buffer[] = []
  const port = await listen('127.0.0.1', 0, (socket) => socket.on('data', (chunk) => heard.push(chunk)))
  const { user, password, database } = setting.server
  return { heard, config: { host: '127.0.0.1', port, user, password, database, stream, query_timeout: 500 } satisfies PoolConfig }
}

class Tunnel extends net.Socket {
  override connect(): this {
    return super.connect(setting.server.port, '127.0.0.1')
  }
}

function connector(): net.Socket {
  const socket = net.connect(setting.server.port, '127.0.0.1')
  socket.connect = () => socket
  return socket
}

describe('goes through the stream of the user', () => {
  test.each([
    ['a tunnel', () => new Tunnel()],
    ['a connector', connector],
  ])('%s', async (_, stream) => {
    const { heard, config } = await amongStrangers(stream)
    const pool = new Pool(config)
    const client = new Client(config)
    await client.connect()
    await Promise.all([failure(pool.query(SLEEP)), failure(client.query(SLEEP))])
    await activeBackends(setting.server, 0, 'pg_sleep')
    expect(heard).toEqual([])
    await pool.end()
  })

  test('and to no server, where the stream is not a factory', async () => {
    const { heard, config } = await amongStrangers(connector)
    const client = new Client({ ...config, stream: connector() } as never)
    await client.connect()
    await failure(client.query(SLEEP))
    await activeBackends(setting.server, 1, 'pg_sleep')
    expect(heard).toEqual([])
  })
})

test.each(['postgres', 'direct'] as const)('goes through TLS (sslnegotiation: %s)', async (sslnegotiation) => {
  const pool = setting.thaw({ query_timeout: 500, sslnegotiation, ssl: { ca: setting.server.ca } } as PoolConfig)
  await failure(pool.query(SLEEP))
  await activeBackends(setting.server, 0, 'pg_sleep')
})

test('sends nothing to whom refuses TLS', async () => {
  await using plain = await startPostgres()
  await using proxy = await startFaultProxy(setting.server, { record: true })
  const strict = { connectionString: proxy.urlFor(setting.server.url), ssl: { ca: setting.server.ca }, query_timeout: 500 }
  const pool = new Pool(strict as PoolConfig)
  await pool.query('SELECT 1')
  proxy.moveTo(plain)
  await failure(pool.query(SLEEP))
  await expect.poll(() => proxy.flows).toHaveLength(2)
  await expect.poll(() => proxy.flows[1]?.state).toBe('closed')
  const told = proxy.flows[1]?.chunks.filter(({ direction }) => direction === 'to-server').map(({ data }) => data.toString('hex'))
  // SSLRequest, and no more.
  expect(told).toEqual(['0000000804d2162f'])
  await pool.end()
})

test('goes to the very address of the connection, where a name has several', async () => {
  // 127.0.0.1 is the server; on 127.0.0.2 there is another one.
  const heard: Buffer[] = []
  const port = await listen('127.0.0.2', 0, (socket) => socket.on('data', (chunk) => heard.push(chunk)))
  await listen('127.0.0.1', port, (socket) => {
    const server = net.connect(setting.server.port, '127.0.0.1')
    server.on('error', () => socket.destroy())
    socket.pipe(server).pipe(socket)
  })
  let address = '127.0.0.1'
  vi.spyOn(dns, 'lookup').mockImplementation(((_: string, options: { all?: boolean }, callback: (...values: unknown[]) => void) => {
    if (options.all) callback(null, [{ address, family: 4 }])
    else callback(null, address, 4)
  }) as never)
  const { user, password, database } = setting.server
  for (const stream of [undefined, () => new net.Socket()]) {
    address = '127.0.0.1'
    const pool = new Pool({ host: 'several.test', port, user, password, database, query_timeout: 500, ...(stream && { stream }) })
    await pool.query('SELECT 1')
    address = '127.0.0.2'
    await failure(pool.query(SLEEP))
    await activeBackends(setting.server, 0, 'pg_sleep')
    await pool.end()
  }
  expect(heard).toEqual([])
})

describe('a statement whose connection is closed under it ends', () => {
  test('by pool.end({ timeoutMillis })', async () => {
    const pool = setting.thaw()
    const lost = failure(pool.query(SLEEP))
    await activeBackends(setting.server, 1, 'pg_sleep')
    await pool.end({ timeoutMillis: 10 })
    await lost
    await activeBackends(setting.server, 0, 'pg_sleep')
  })

  test('by release(true)', async () => {
    const client = await setting.thaw().connect()
    const lost = failure(client.query(SLEEP))
    await activeBackends(setting.server, 1, 'pg_sleep')
    client.release(true)
    await lost
    await activeBackends(setting.server, 0, 'pg_sleep')
  })
})
