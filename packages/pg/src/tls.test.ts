import { type PeerConnection, preferP256, TLS_GROUPS } from '@thaw/pool'
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
