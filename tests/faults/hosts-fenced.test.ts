/**
 * Several hosts, and an old primary that is fenced: set to be read-only, while another one is promoted.
 *
 * What breaks: nothing that a connection could notice. The server is no standby, and refuses each write (25006). Plain `pg` goes on refusing on every connection. With
 * Thaw, where `target_session_attrs=read-write`, the server is asked what a login would be judged by, the connections are given up, and what was refused is sent again.
 */

import type { Pool } from '@thaw/pg'
import type { StandbyServer } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'
import { until } from './until.ts'

const setting = useSetting()
let promoted: StandbyServer

beforeAll(async () => {
  promoted = await setting.server.startStandby()
  await promoted.promote()
})
afterAll(() => promoted.close())

/** The old primary comes first. */
function over(attrs: string): Pool {
  const { user, password, database, host, port } = setting.server
  const hosts = `${host}:${port},${promoted.host}:${promoted.port}`
  return setting.thaw({ connectionString: `postgres://${user}:${password}@${hosts}/${database}?target_session_attrs=${attrs}`, max: 2 })
}

async function fill(pool: Pool): Promise<void> {
  const clients = await Promise.all([1, 2].map(() => pool.connect()))
  for (const client of clients) client.release()
}

async function arrived(token: string): Promise<boolean> {
  return (await promoted.query(`SELECT FROM ledger WHERE token = '${token}'`)).rows.length > 0
}

async function byHand(pool: Pool): Promise<void> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await client.query(INSERT, ['by hand'])
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw error
  } finally {
    client.release()
  }
}

test.each(['BEGIN READ ONLY', 'BEGIN; SET TRANSACTION READ ONLY', 'SET default_transaction_read_only = on'])(
  'who asks for it with %s is refused, and no connection is given up',
  async (setup) => {
    const pool = over('read-write')
    const client = await pool.connect()
    await client.query(setup)
    expect(await failure(client.query(INSERT, ['on purpose']))).toMatchObject({ code: '25006' })
    await client.query('ROLLBACK')
    client.release()
    await pool.query('SELECT 1')
    expect(pool.stats()).toMatchObject({ generation: 0 })
  },
)

test('what a fenced primary refuses is stored by the promoted one', async () => {
  const stock = setting.plain(setting.server)
  const ways: Record<string, (pool: Pool) => Promise<unknown>> = {
    statement: (pool) => pool.query(INSERT, ['statement']),
    transaction: (pool) => pool.transaction((client) => client.query(INSERT, ['transaction'])),
    batch: (pool) => pool.batch([{ text: INSERT, values: ['batch'] }]),
    once: (pool) => pool.query({ text: INSERT, values: ['once'], once: true }),
  }
  const pools = Object.fromEntries(Object.keys(ways).map((way) => [way, over('read-write')]))
  const [own, asked] = [over('read-write'), over('primary')]
  await Promise.all([...Object.values(pools), own, asked].map(fill))
  await setting.server.query('ALTER SYSTEM SET default_transaction_read_only = on')
  await setting.server.query('SELECT pg_reload_conf()')
  // Each session hears of it by itself.
  const refuses = (write: () => Promise<unknown>) => async () => (await failure(write()).catch(() => undefined)) !== undefined
  await until(
    'stock pg is refused',
    refuses(() => stock.query(INSERT, ['stock'])),
  )
  for (const [way, write] of Object.entries(ways))
    await until(`a ${way} has reached the promoted server`, async () => {
      await write(pools[way] as Pool)
      return arrived(way)
    })
  await until(
    'a client of its own is refused, once',
    refuses(() => byHand(own)),
  )
  await until('its connections are given up', () => own.stats().generation === 1)
  await byHand(own)
  expect(await arrived('by hand')).toBe(true)
  // Its login does not judge by this.
  await until(
    'the role is right, and the setting is the user’s to hear of',
    refuses(() => asked.query(INSERT, ['role'])),
  )
  expect(asked.stats()).toMatchObject({ generation: 0 })
})
