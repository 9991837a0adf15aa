/**
 * A name with two addresses. What is behind the first accepts connections and says nothing: a frozen machine, a proxy without its server. Node tries the next address only
 * where the first does not accept. With plain pg each attempt waits at the first for all of its time, and the second is never tried.
 */

import dns from 'node:dns'
import { once } from 'node:events'
import net from 'node:net'
import stock from 'pg'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { proxy, server, useOneServer } from '../test/one-server.ts'
import { Pool } from './index.ts'

useOneServer()

const NAME = 'two-addresses.test'
const SILENT = '127.0.0.2'

let silent: net.Server
let accepted: net.Socket[]

beforeEach(async () => {
  const port = Number(new URL(proxy.urlFor(server.url)).port)
  accepted = []
  silent = net.createServer((socket) => {
    socket.on('error', () => {}).resume()
    accepted.push(socket)
  })
  await once(silent.listen(port, SILENT), 'listening')
  const addresses = [SILENT, '127.0.0.1'].map((address) => ({ address, family: 4 }))
  const resolve = dns.lookup
  vi.spyOn(dns, 'lookup').mockImplementation(((name: string, options: dns.LookupOptions, done: (...found: unknown[]) => void) => {
    if (name !== NAME) return resolve(name, options as dns.LookupAllOptions, done as never)
    process.nextTick(() => (options.all ? done(null, addresses) : done(null, SILENT, 4)))
  }) as never)
})

afterEach(() => {
  vi.restoreAllMocks()
  for (const socket of accepted) socket.destroy()
  silent.close()
})

function connectionString(): string {
  const url = new URL(proxy.urlFor(server.url))
  url.hostname = NAME
  return url.href
}

test('plain pg stays with the first', async () => {
  const pool = new stock.Pool({ connectionString: connectionString(), connectionTimeoutMillis: 300 })
  await expect(pool.query('select 1')).rejects.toThrow(/timeout/)
  await expect(pool.query('select 1')).rejects.toThrow(/timeout/)
  await expect.poll(() => accepted.length).toBe(2)
  await pool.end()
})

test('the attempt that is made beside a silent one goes to another address, and so do those that follow', async () => {
  const pool = new Pool({ connectionString: connectionString(), max: 4, share: false })
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  expect(accepted.length).toBeGreaterThan(0)
  const held = await Promise.all([pool.connect(), pool.connect(), pool.connect()])
  // One each, if they began with the first. On a slow machine the other one may seem silent, too.
  expect(accepted.length).toBeLessThan(4)
  for (const client of held) client.release()
  await pool.end()
})
