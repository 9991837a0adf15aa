/** `connectionTimeoutMillis` of a client of its own: as with plain pg, but time asleep is not counted. */

import { Duplex } from 'node:stream'
import { systemClock } from '@thaw/core'
import stock from 'pg'
import { beforeEach, describe, expect, onTestFinished, test, vi } from 'vitest'
import { proxy, server, useOneServer } from '../test/one-server.ts'
import { Client } from './index.ts'

useOneServer()

/** Those of Thaw's timers that neither have run nor were stopped. */
const pending = new Set<unknown>()

beforeEach(() => {
  const { setTimer, clearTimer } = systemClock
  pending.clear()
  vi.spyOn(systemClock, 'setTimer').mockImplementation((callback, millis, background) => {
    const run = () => {
      pending.delete(timer)
      callback()
    }
    const timer = setTimer(run, millis, background)
    pending.add(timer)
    return timer
  })
  vi.spyOn(systemClock, 'clearTimer').mockImplementation((timer) => {
    pending.delete(timer)
    clearTimer(timer)
  })
  return () => void vi.restoreAllMocks()
})

async function deaf(): Promise<string> {
  await proxy.deafen()
  onTestFinished(() => proxy.accept())
  return proxy.urlFor(server.url)
}

function refusing(): string {
  proxy.refuse()
  onTestFinished(() => proxy.accept())
  return proxy.urlFor(server.url)
}

type Connect = (client: stock.Client) => Promise<unknown>

const WAYS: [string, Connect][] = [
  ['a promise', (client) => client.connect()],
  [
    'a callback',
    (client) => new Promise((resolve, reject) => client.connect((error: Error | null) => (error ? reject(error) : resolve(client)))),
  ],
]
const CLASSES: [string, typeof stock.Client][] = [
  ['pg', stock.Client],
  ['@thaw/pg', Client as unknown as typeof stock.Client],
]
/** Timers that keep the process alive. */
const keepers = () => process.getActiveResourcesInfo().filter((kind) => kind === 'Timeout').length
const socketOf = (client: stock.Client) => (client as unknown as { connection: { stream: { destroyed: boolean } } }).connection.stream

describe.each(CLASSES)('%s', (name, AnyClient) => {
  const isThaw = name === '@thaw/pg'

  describe.each(WAYS)('with %s', (_, connect) => {
    test('a server that does not answer: the socket is closed when the time is up', async () => {
      const client = new AnyClient({ connectionString: await deaf(), connectionTimeoutMillis: 50 })
      const before = keepers()
      const connected = connect(client)
      expect(keepers()).toBe(before)
      expect(pending.size).toBe(isThaw ? 1 : 0)
      await expect(connected).rejects.toThrow(/^timeout expired$/)
      expect(socketOf(client).destroyed).toBe(true)
      expect(pending.size).toBe(0)
      await client.end()
    })

    test('nothing is left of it after a login, nor after one that has failed', async () => {
      const client = new AnyClient({ connectionString: server.url, connectionTimeoutMillis: 10_000 })
      await connect(client)
      expect(pending.size).toBe(0)
      await expect(connect(client)).rejects.toThrow('already been connected')
      expect(pending.size).toBe(0)
      expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
      await client.end()
      const refused = new AnyClient({ connectionString: refusing(), connectionTimeoutMillis: 10_000 })
      await expect(connect(refused)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
      expect(pending.size).toBe(0)
    })
  })

  test('a client that is ended while it connects: the bound ends it, and nothing is left', async () => {
    const client = new AnyClient({ connectionString: await deaf(), connectionTimeoutMillis: 50 })
    client.on('error', () => {})
    client.connect().catch(() => {})
    await client.end()
    expect(socketOf(client).destroyed).toBe(true)
    expect(pending.size).toBe(0)
  })

  test('without the option there is no bound', async () => {
    const client = new AnyClient({ connectionString: server.url })
    const connected = client.connect()
    expect(pending.size).toBe(0)
    await connected
    await client.end()
  })
})

test('with a stream that throws, no bound is left, which would end the process', async () => {
  const connect = () => {
    throw new Error('no way')
  }
  const stream = () => Object.assign(new Duplex(), { setNoDelay() {}, connect })
  await expect(new Client({ stream, connectionTimeoutMillis: 10_000 } as object).connect()).rejects.toThrow('no way')
  expect(pending.size).toBe(0)
})

test('connected again meanwhile, which node-postgres refuses: the bound does not close the connection', async () => {
  const client = new Client({ connectionString: server.url, connectionTimeoutMillis: 250 })
  const connected = new Promise((resolve) => client.once('connect', resolve))
  void client.connect()
  await expect(client.connect()).rejects.toThrow('already been connected')
  await connected
  await expect.poll(() => pending.size).toBe(0)
  await new Promise(setImmediate)
  expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  await client.end()
})

test('a process that stands still while it connects, for longer than that may take', async () => {
  const connectionTimeoutMillis = 700
  const plain = new stock.Client({ connectionString: server.url, connectionTimeoutMillis })
  const own = new Client({ connectionString: server.url, connectionTimeoutMillis })
  const { host } = server
  const connectionString = server.url.replace(`@${host}:${server.port}`, `@${host}:${server.port},localhost:${server.port}`)
  const several = new Client({ connectionString, connectionTimeoutMillis })
  const all = Promise.allSettled([plain.connect(), own.connect(), several.connect()])
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 800)
  const [ofPlain, ...ofOurs] = await all
  expect(ofPlain).toMatchObject({ reason: { message: 'timeout expired' } })
  expect(ofOurs).toMatchObject([{ status: 'fulfilled' }, { status: 'fulfilled' }])
  expect((several as unknown as { host: string }).host).toBe(host)
  await Promise.all([own.end(), several.end()])
})
