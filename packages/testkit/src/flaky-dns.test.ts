import dns, { lookup as importedByName } from 'node:dns'
import { lookup as importedFromPromises } from 'node:dns/promises'
import { createServer } from 'node:net'
import { promisify } from 'node:util'
import { describe, expect, test } from 'vitest'
import { connectPlain, failureOf } from '../fixtures/plain-client.ts'
import { failDns } from './flaky-dns.ts'
import { startPostgres } from './postgres.ts'

const HOST = 'db.flaky.test'

test('node-postgres fails as often as told, then connects', async () => {
  await using server = await startPostgres()
  using flaky = failDns({ host: HOST, times: 2 })
  const connectionString = server.url.replace('127.0.0.1', HOST)
  expect(await failureOf(connectPlain({ connectionString }))).toBe('EAI_AGAIN')
  expect(await failureOf(connectPlain({ connectionString }))).toBe('EAI_AGAIN')
  await using plain = await connectPlain({ connectionString })
  expect((await plain.client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  expect([flaky.lookups, flaky.failures]).toEqual([3, 2])
})

test('fetch goes by it as well', async () => {
  const server = createServer((socket) => socket.end('HTTP/1.1 204 No Content\r\n\r\n'))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  using flaky = failDns({ host: HOST, times: 1, code: 'ENOTFOUND' })
  const failure = (await fetch(`http://${HOST}:${port}`).catch((error) => error)) as Error
  expect(failure.cause).toMatchObject({ code: 'ENOTFOUND' })
  expect((await fetch(`http://${HOST}:${port}`)).status).toBe(204)
  expect(flaky.lookups).toBe(2)
  server.close()
})

describe('every shape of lookup', () => {
  const byCallback = (...options: unknown[]) =>
    new Promise<unknown[]>((resolve, reject) => {
      const callback = (error: Error | null, ...found: unknown[]) => (error ? reject(error) : resolve(found))
      Reflect.apply(dns.lookup, dns, [HOST, ...options, callback])
    })

  test('succeeds in its own way', async () => {
    using flaky = failDns({ host: HOST, times: 0 })
    const found = { address: '127.0.0.1', family: 4 }
    expect(await byCallback()).toEqual(['127.0.0.1', 4])
    expect(await byCallback(4)).toEqual(['127.0.0.1', 4])
    expect(await byCallback({ family: 4 })).toEqual(['127.0.0.1', 4])
    expect(await byCallback({ all: true })).toEqual([[found]])
    expect(await promisify(dns.lookup)(HOST)).toEqual(found)
    expect(await promisify(importedByName)(HOST, { all: true })).toEqual([found])
    expect(await dns.promises.lookup(HOST)).toEqual(found)
    expect(await importedFromPromises(HOST, { all: true })).toEqual([found])
    expect([flaky.lookups, flaky.failures]).toEqual([8, 0])
  })

  test('fails as the real one does', async () => {
    using _flaky = failDns({ host: HOST, times: Number.POSITIVE_INFINITY })
    const expected = { message: `getaddrinfo EAI_AGAIN ${HOST}`, code: 'EAI_AGAIN', errno: -3001, syscall: 'getaddrinfo', hostname: HOST }
    await expect(byCallback({ all: true })).rejects.toMatchObject(expected)
    await expect(importedFromPromises(HOST)).rejects.toMatchObject(expected)
  })

  test('takes an address of the other family', async () => {
    using _flaky = failDns({ host: HOST, times: 0, resolvesTo: '::1' })
    expect(await byCallback()).toEqual(['::1', 6])
  })
})

test('other names are looked up as ever', async () => {
  using flaky = failDns({ host: HOST, times: 1 })
  expect(await dns.promises.lookup('127.0.0.1')).toEqual({ address: '127.0.0.1', family: 4 })
  expect(await promisify(dns.lookup)('127.0.0.1', { all: true })).toEqual([{ address: '127.0.0.1', family: 4 }])
  expect(await importedFromPromises('localhost', 4)).toMatchObject({ family: 4 })
  expect(flaky.lookups).toBe(0)
})

test('restores what was there, when the last of them is restored', () => {
  const before = { lookup: dns.lookup, promised: dns.promises.lookup }
  const first = failDns({ host: HOST, times: 1 })
  const second = failDns({ host: `other.${HOST}`, times: 1 })
  expect(() => failDns({ host: HOST, times: 1 })).toThrow(/fail already/)
  first.restore()
  first.restore()
  expect(dns.lookup).not.toBe(before.lookup)
  second.restore()
  expect({ lookup: dns.lookup, promised: dns.promises.lookup }).toEqual(before)
})
