/**
 * A write that is applied once falls silent, on a connection of which nothing is known yet, and its backend is gone.
 *
 * What breaks: a NAT forgets the connection on the way of the answer, and the server has closed it. No byte is left to send, so no RST comes. With plain `pg` the call hangs for ever, as does a
 * plain write with Thaw: that a backend is not found proves nothing. But a call with a key is settled by the table of keys, whatever has become of its statement. A transaction, `once` or a batch asks in front of
 * its first statement which server it is on; if even that is not answered, nothing of the user's is what takes so long.
 */

import { Pool as NeonPool } from '@thaw/neon'
import type { Pool } from '@thaw/pg'
import type { FaultProxy, PostgresServer } from '@thaw/testkit'
import { expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { INSERT, useSetting } from './setting.ts'
import { until } from './until.ts'

useOneNeon()

const setting = useSetting({ authentication: 'trust' })
const PATIENCE = { timeout: 60_000 }
const WAITING = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND strpos(query, $1) > 0"
const SILENCE = { cut: 'drop', server: 'close' } as const

/** The key itself, in a batch, and in a batch that has a key of its own. */
const KEYED: Readonly<Record<string, (pool: Pool, token: string) => Promise<unknown>>> = {
  key: (pool, token) => pool.query({ text: `${INSERT} RETURNING token`, values: [token], idempotencyKey: token }),
  batch: (pool, token) => pool.batch([{ text: INSERT, values: [token] }], { idempotencyKey: token }),
}

const DRIVERS = [
  ['@thaw/pg', (max: number) => setting.thaw({ max }), () => setting],
  [
    '@thaw/neon',
    (max: number) => new NeonPool({ connectionString: neon.url, max }) as unknown as Pool,
    () => ({ server: neon.postgres, proxy: neon.compute }),
  ],
] as const

test.each(DRIVERS)('under a key: it is settled, and stored once, on %s', PATIENCE, async (driver, create, where) => {
  const { server, proxy } = where()
  await server.query('CREATE TABLE IF NOT EXISTS ledger (token text NOT NULL)')
  await create(1).createIdempotencyTable()
  const calls = Object.entries(KEYED).flatMap(([name, call]) =>
    [false, true].map(async (isWarm) => {
      const pool = create(1)
      const token = `silent ${driver} ${name} ${isWarm}`
      await pool.query('SELECT 1')
      if (isWarm) await call(pool, `${token}, warm`)
      const lost = proxy.loseNextAnswer({ containing: `${token}\0`, ...SILENCE })
      await call(pool, token)
      await lost.struck
      expect((await server.query('SELECT FROM ledger WHERE token = $1', [token])).rowCount).toBe(1)
      await pool.end()
    }),
  )
  await Promise.all(calls)
})

/** The first of their connection, and of their pool, that ask who the server is. */
const CALLS: Readonly<Record<string, (pool: Pool, token: string) => Promise<unknown>>> = {
  once: (pool, token) => pool.query({ text: INSERT, values: [token], once: true }),
  transaction: (pool, token) => pool.transaction((client) => client.query(INSERT, [token])),
  'transaction that begins with SET': (pool, token) =>
    pool.transaction(async (client) => {
      await client.query(`SET LOCAL application_name = '${token}'`)
      await client.query(INSERT, [token])
    }),
}

/** Where a driver's pools go. */
interface Place {
  readonly driver: string
  readonly server: PostgresServer
  readonly proxy: FaultProxy
  create(max: number): Pool
}

const rows = async ({ server }: Place, token: string) => (await server.query('SELECT FROM ledger WHERE token = $1', [token])).rowCount

/** Nothing of its flight is answered: it is run again. */
async function runsAgain(place: Place, name: string, lose: 'loseNextAnswer' | 'loseNextRequest'): Promise<void> {
  const { driver, proxy, create } = place
  const pool = create(1)
  const token = `unacquainted ${driver} ${name} ${lose}`
  await pool.query('SELECT 1')
  const lost = proxy[lose]({ containing: token, ...SILENCE })
  await CALLS[name]?.(pool, token)
  await lost.struck
  expect(await rows(place, token)).toBe(1)
  await pool.end()
}

/** The pool's first, without a key: its outcome is unknown, and its caller is told so. */
async function isUnknown({ driver, proxy, create }: Place): Promise<void> {
  const pool = create(1)
  const token = `unacquainted ${driver} batch`
  const lost = proxy.loseNextAnswer({ containing: token, ...SILENCE })
  const told = await pool.batch([{ text: INSERT, values: [token] }], { once: false }).then(String, (error: Error) => error)
  await lost.struck
  expect(told).toMatchObject({ name: 'OutcomeUnknownError', outcome: 'unknown' })
  await pool.end()
}

/** The server has said who it is, long before its statement was done. */
async function isKnownByThen(place: Place, isConnected: () => void): Promise<void> {
  const { driver, server, proxy, create } = place
  const token = `acquainted ${driver}`
  const pool = create(1)
  const holder = create(1)
  const lock = await holder.connect()
  await lock.query('BEGIN; LOCK held')
  const before = proxy.flows.length
  await pool.query('SELECT 1')
  const [flow] = proxy.flows.slice(before)
  isConnected()
  const call = pool.transaction(async (client) => {
    await client.query(`INSERT INTO held VALUES ('${token}')`)
    await client.query(INSERT, [token])
  })
  await until('the write waits', async () => (await server.query(WAITING, [token])).rowCount === 1)
  expect(flow?.cut('drop', { server: 'close' })).toBe(true)
  await lock.query('COMMIT')
  lock.release()
  await call
  expect(await rows(place, token)).toBe(1)
  await Promise.all([pool.end(), holder.end()])
}

test.each(DRIVERS)('without a key: run again, or told to be unknown, on %s', PATIENCE, async (driver, create, where) => {
  const place = { driver, create, ...where() }
  await place.server.query('CREATE TABLE IF NOT EXISTS ledger (token text NOT NULL)')
  await place.server.query('CREATE TABLE held (token text)')
  // Before the others open connections: it has to know which one is its own.
  let known: Promise<void> | undefined
  await new Promise<void>((isConnected) => {
    known = isKnownByThen(place, isConnected)
  })
  const again = Object.keys(CALLS).flatMap((name) =>
    (['loseNextAnswer', 'loseNextRequest'] as const).map((lose) => runsAgain(place, name, lose)),
  )
  await Promise.all([known, isUnknown(place), ...again])
})
