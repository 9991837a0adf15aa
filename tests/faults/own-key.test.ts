/**
 * A batch without a key or `once`, where the table of keys is there.
 *
 * What breaks: its answer is lost as a whole. With plain `pg` no client can know whether it is stored. With Thaw it is under a key of its own, and is stored once.
 */

import { systemClock } from '@thaw/core'
import type { Pool, PoolClient } from '@thaw/pg'
import { beforeEach, describe, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()
const two = (token: string) => [
  { text: `${INSERT} RETURNING token`, values: [token] },
  { text: INSERT, values: [token] },
]
const keys = async () => (await setting.server.query('SELECT FROM thaw_idempotency')).rowCount

beforeEach(async () => {
  await setting.server.query('DROP TABLE IF EXISTS thaw_idempotency; TRUNCATE ledger')
  await setting.thaw().createIdempotencyTable()
})

describe('a batch, where the table of keys is there', () => {
  for (const cut of ['rst', 'fin', 'drop'] as const) {
    test.each(['loseNextRequest', 'loseNextAnswer'] as const)(`whose %s, by ${cut}: stored once, with its rows`, async (lose) => {
      const pool = setting.thaw()
      // The first one finds out that the table is there.
      await pool.batch(['SELECT 1'])
      const lost = setting.proxy[lose]({ containing: 'own-key', cut })
      const [first] = await pool.batch(two('own-key'))
      await lost.struck
      expect(first?.rows).toEqual([{ token: 'own-key' }])
      expect(await setting.rows('own-key')).toBe(2)
    })
  }

  test('takes no round trip more, and a key that the table forgets by itself', async () => {
    const pool = setting.thaw({ trustMillis: 60_000 })
    await pool.batch(['SELECT 1'])
    const before = setting.proxy.counters.roundTrips
    await pool.batch(two('counted'))
    await pool.batch(['SELECT 1'])
    expect(setting.proxy.counters.roundTrips - before).toBe(2)
    const { rows } = await setting.server.query(
      "SELECT key ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7' AS v7, abs(extract(epoch FROM now() - key_time)) < 3600 AS young FROM thaw_idempotency",
    )
    expect(rows).toEqual([{ v7: true, young: true }])
  })

  test('which was made since this pool has looked, and has been used by a statement with a key', async () => {
    await setting.server.query('DROP TABLE thaw_idempotency')
    const pool = setting.thaw()
    await pool.batch(['SELECT 1'])
    await setting.thaw().createIdempotencyTable()
    await pool.query({ text: INSERT, values: ['keyed'], idempotencyKey: 'keyed' })
    await pool.batch(two('learnt'))
    expect(await keys()).toBe(2)
  })

  test('has none with once: false, and none where it only reads', async () => {
    const pool = setting.thaw()
    await pool.batch(['SELECT 1'])
    await pool.batch(two('plain'), { once: false })
    await pool.batch(['SELECT 1', 'SELECT 2'])
    expect([await keys(), await setting.rows('plain')]).toEqual([0, 2])
  })

  test.each([
    ['is gone', 'DROP TABLE thaw_idempotency'],
    ['refuses the row', 'ALTER TABLE thaw_idempotency ADD CHECK (false)'],
  ])('and the table %s meanwhile: the batch has nothing to do with that', async (_name, sql) => {
    const pool = setting.thaw()
    await pool.batch(['SELECT 1'])
    await setting.server.query(sql)
    for (const n of [1, 2]) {
      expect(await pool.batch(two('meanwhile'))).toHaveLength(2)
      expect(await setting.rows('meanwhile')).toBe(2 * n)
    }
  })

  describe('which is away for a while', () => {
    let late = 0
    const clock = { ...systemClock, mono: () => systemClock.mono() + late, wall: () => systemClock.wall() + late }
    const isUnderKey = async (pool: Pool, token: string) => {
      const lost = setting.proxy.loseNextAnswer({ containing: token, cut: 'rst' })
      // With a connection that it knows.
      await pool.batch(['SELECT 1'])
      await pool.batch(two(token))
      await lost.struck
      expect(await setting.rows(token)).toBe(2)
    }

    test('while another session has locked it', async () => {
      const pool = setting.thaw({ lock_timeout: 100 })
      await pool.batch(['SELECT 1'])
      const other = await setting.plain().connect()
      await other.query('BEGIN; LOCK TABLE thaw_idempotency')
      expect(await pool.batch(two('locked'))).toHaveLength(2)
      await other.query('COMMIT')
      other.release()
      expect([await keys(), await setting.rows('locked')]).toEqual([0, 2])
      await isUnderKey(pool, 'unlocked')
    })

    test('while its server writes nothing: tried again in a minute', async () => {
      const pool = setting.thaw({ clock })
      const set = (mode: 'on' | 'off') => pool.query(`SET default_transaction_read_only = ${mode}`)
      await pool.batch(['SELECT 1'])
      await set('on')
      expect(await failure(pool.batch(two('read only')))).toMatchObject({ code: '25006' })
      await set('off')
      await pool.batch(two('too early'))
      expect(await keys()).toBe(0)
      late += 60_000
      await pool.batch(two('writes'))
      expect(await keys()).toBe(1)
    })

    test('while a migration makes it anew: tried again in a minute', async () => {
      const pool = setting.thaw({ clock })
      await pool.batch(['SELECT 1'])
      await setting.server.query('DROP TABLE thaw_idempotency')
      expect(await pool.batch(two('gone'))).toHaveLength(2)
      await setting.thaw().createIdempotencyTable()
      late += 60_000
      await isUnderKey(pool, 'anew')
    })
  })

  test('is aborted, or gets no connection, while what it has stored is read again: its caller is told that it is stored', async () => {
    for (const isAborted of [true, false]) {
      const pool = setting.thaw({ max: 1, connectionTimeoutMillis: 1000 })
      await pool.batch(['SELECT 1'])
      const controller = new AbortController()
      // As soon as the server has said that it is stored, another caller has the only connection.
      const held: Promise<PoolClient>[] = []
      pool.subscribe(({ type }) => {
        if (type !== 'outcome' || held.length > 0) return
        held.push(pool.connect())
        if (isAborted) setTimeout(() => controller.abort(new Error('enough')), 100)
      })
      const lost = setting.proxy.loseNextAnswer({ containing: 'read again', cut: 'rst' })
      const [first] = await pool.batch(two(`read again ${isAborted}`), { signal: controller.signal })
      await lost.struck
      expect(first).toMatchObject({ repeated: true })
      expect(await setting.rows(`read again ${isAborted}`)).toBe(2)
      for (const client of await Promise.all(held)) client.release()
    }
  })

  test('fails with the error of its own statement, of which nothing is stored', async () => {
    const pool = setting.thaw()
    await pool.batch(['SELECT 1'])
    expect(await failure(pool.batch([...two('failing'), 'SELECT 1/0']))).toMatchObject({ code: '22012' })
    expect([await keys(), await setting.rows('failing')]).toEqual([0, 0])
  })
})
