import { once } from 'node:events'
import net from 'node:net'
import { type PeerConnection, preferP256, TLS_GROUPS, tlsGroups } from '@thaw/pool'
import { startFaultProxy, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { expect, test } from 'vitest'
import { Pool } from './index.ts'

test('a server that knows P-256 only is reached with one round trip less', async () => {
  // What PostgreSQL up to 17 can do, on the PostgreSQL that we have.
  await using server = await startPostgres({ tls: true, settings: { ssl_groups: 'prime256v1' } })
  await using proxy = await startFaultProxy(server)
  const dial = async (PoolClass: typeof stock.Pool) => {
    const pool = new PoolClass({ connectionString: proxy.urlFor(server.url), ssl: { ca: server.ca } })
    await pool.query('select 1')
    const roundTrips = proxy.flows.at(-1)?.traffic.roundTrips
    await pool.end()
    return roundTrips
  }
  const plain = await dial(stock.Pool)
  expect(await dial(Pool as unknown as typeof stock.Pool)).toBe(Number(plain) - 1)
})

test("the user's own choice of groups, and the hidden key, stay", () => {
  const own = { ssl: { ecdhCurve: 'X25519' } } as unknown as PeerConnection
  preferP256(own)
  expect(own.ssl).toEqual({ ecdhCurve: 'X25519' })

  const ssl = Object.defineProperty({ ca: 'ca' }, 'key', { value: 'private', enumerable: false })
  const hidden = { ssl } as unknown as PeerConnection
  preferP256(hidden)
  expect(hidden.ssl).toMatchObject({ ca: 'ca', ecdhCurve: TLS_GROUPS })
  expect((hidden.ssl as { key?: string }).key).toBe('private')
  expect(Object.keys(hidden.ssl as object)).not.toContain('key')
  expect(ssl).not.toHaveProperty('ecdhCurve')
})

const P256 = 0x0017
const X25519_MLKEM768 = 0x11ec
const SUPPORTED_GROUPS = 10
const KEY_SHARE = 51

/** The body of an extension of a ClientHello (RFC 8446, 4.1.2). */
function extensionOf(hello: Buffer, wanted: number): Buffer {
  // Behind the headers of record and handshake, the version and the random: three lists, each with its length.
  let at = 5 + 4 + 2 + 32
  at += 1 + hello.readUInt8(at)
  at += 2 + hello.readUInt16BE(at)
  at += 1 + hello.readUInt8(at)
  for (at += 2; at < hello.length; at += 4 + hello.readUInt16BE(at + 2)) {
    if (hello.readUInt16BE(at) === wanted) return hello.subarray(at + 4, at + 4 + hello.readUInt16BE(at + 2))
  }
  throw new Error(`The ClientHello has no extension ${wanted}.`)
}

/** What a pool offers in its handshake: all groups, and those for which it sends a key share. */
async function offered(PoolClass: typeof stock.Pool): Promise<{ readonly groups: number[]; readonly shares: number[] }> {
  let hello = Buffer.alloc(0)
  const isWhole = () => hello.length >= 5 && hello.length >= 5 + hello.readUInt16BE(3)
  const server = net.createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      if (isWhole()) {
        socket.destroy()
        return
      }
      hello = Buffer.alloc(0)
      socket.write('S')
      socket.on('data', (chunk) => {
        hello = Buffer.concat([hello, chunk])
        if (isWhole()) socket.destroy()
      })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as net.AddressInfo
  // On a slow machine the time may be over before the first byte.
  while (!isWhole()) {
    const ssl = { rejectUnauthorized: false }
    const pool = new PoolClass({ host: '127.0.0.1', port, user: 'x', password: 'y', ssl, connectionTimeoutMillis: 300 })
    await pool.query('select 1').catch(() => {})
    await pool.end()
  }
  server.close()
  const groups: number[] = []
  const all = extensionOf(hello, SUPPORTED_GROUPS)
  for (let at = 2; at < all.length; at += 2) groups.push(all.readUInt16BE(at))
  const shares: number[] = []
  const sent = extensionOf(hello, KEY_SHARE)
  for (let at = 2; at < sent.length; at += 4 + sent.readUInt16BE(at + 2)) shares.push(sent.readUInt16BE(at))
  return { groups, shares }
}

test('a key share for P-256 is sent, and all that Node offers stays offered, against tomorrow’s computers above all', async () => {
  const ours = await offered(Pool as unknown as typeof stock.Pool)
  const plain = await offered(stock.Pool)
  expect(plain.shares).not.toContain(P256)
  expect(ours.shares).toContain(P256)
  expect(ours.groups.toSorted()).toEqual(plain.groups.toSorted())
  expect(ours.shares.includes(X25519_MLKEM768)).toBe(plain.shares.includes(X25519_MLKEM768))
})

test.each([
  ['3.5.8', true],
  ['3.10.0', true],
  ['4.0.0', true],
  ['3.0.19', false],
  ['3.4.1+quic', false],
  ['1.1.1w', false],
  ['', false],
  [undefined, false],
])('OpenSSL %s is told of X25519MLKEM768: %s', (openssl, isTold) => {
  expect(tlsGroups(openssl).includes('X25519MLKEM768')).toBe(isTold)
})

test('what is no OpenSSL 3 is told of nothing that it may not know', () => {
  expect(tlsGroups('1.1.1w')).toBe('P-256:X25519:P-384:P-521')
  expect(tlsGroups('3.0.19')).toContain('X448')
})
