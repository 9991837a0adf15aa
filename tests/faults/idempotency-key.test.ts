/**
 * Writes under an idempotency key whose connection is lost, and callers who come twice.
 *
 * What breaks: the request or its answer, by reset, FIN or silence. With plain `pg` the user sees `ECONNRESET` and cannot know whether to write again. With Thaw the write is there
 * once, however often it is sent.
 */

import { IdempotencyKeyError, type Pool } from '@thaw/pg'
import { beforeEach, describe, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()
const CUTS = ['rst', 'fin', 'drop'] as const

describe('an idempotency key', () => {
  beforeEach(() => setting.thaw().createIdempotencyTable())

  const keyed = (pool: Pool, token: string, key = token) =>
    pool.query({ text: `${INSERT} RETURNING token`, values: [token], idempotencyKey: key })

  test('takes no round trip more, and gives the result; who comes second is told that it was there', async () => {
    const pool = setting.thaw({ trustMillis: 60_000 })
    await pool.query('SELECT 1')
    const before = setting.proxy.counters.roundTrips
    const first = await keyed(pool, 'key-1')
    expect(setting.proxy.counters.roundTrips - before).toBe(1)
    expect(first).toMatchObject({ rows: [{ token: 'key-1' }], rowCount: 1 })
    expect(await keyed(pool, 'key-1')).toMatchObject({ repeated: true, rows: [{ token: 'key-1' }], rowCount: 1, command: 'INSERT' })
    expect(await setting.rows('key-1')).toBe(1)
  })

  test('many at once, by several pools: written once', async () => {
    const pools = [setting.thaw({ max: 4 }), setting.thaw({ max: 4 })]
    const all = await Promise.all(Array.from({ length: 16 }, (_, n) => keyed(pools[n % 2] as Pool, 'crowd')))
    expect(all.filter(({ repeated }) => !repeated)).toHaveLength(1)
    expect(await setting.rows('crowd')).toBe(1)
  })

  for (const cut of CUTS) {
    test.each(['loseNextRequest', 'loseNextAnswer'] as const)(`%s, by ${cut}: written once`, async (lose) => {
      const pool = setting.thaw({ trustMillis: 60_000 })
      const token = `key-${cut}-${lose}`
      await pool.query('SELECT 1')
      const lost = setting.proxy[lose]({ containing: token, cut })
      await keyed(pool, token)
      await lost.struck
      expect(await setting.rows(token)).toBe(1)
    })
  }

  test.each([[undefined], [null], [[]]])('without values it is the same statement, whether they are left out or %j', async (values) => {
    const text = "INSERT INTO ledger VALUES ('bare')"
    const pool = setting.thaw()
    await pool.query({ text, idempotencyKey: 'bare' })
    expect(await pool.query({ text, values, idempotencyKey: 'bare' } as never)).toMatchObject({ repeated: true })
    expect(await setting.rows('bare')).toBe(1)
  })

  test('a tombstone keeps what comes late from being stored', async () => {
    const pool = setting.thaw({ query_timeout: 500 })
    await setting.server.query("INSERT INTO thaw_idempotency (key, fingerprint, state) VALUES ('late', 'x', 'void')")
    const late = pool.batch([
      "INSERT INTO thaw_idempotency (key, fingerprint, state) VALUES ('late', 'x', 'done')",
      "INSERT INTO ledger VALUES ('late')",
    ])
    await expect(late).rejects.toMatchObject({ code: '23505' })
    expect(await setting.rows('late')).toBe(0)
  })

  test('with another statement, or other values, is an error', async () => {
    const pool = setting.thaw()
    await keyed(pool, 'mine')
    const error = await failure(keyed(pool, 'yours', 'mine'))
    expect(error).toBeInstanceOf(IdempotencyKeyError)
    expect(error).toMatchObject({ reason: 'another-statement' })
    expect(await setting.rows('yours')).toBe(0)
  })

  test('an error of the statement leaves the key free', async () => {
    const pool = setting.thaw()
    const failing = { text: 'INSERT INTO ledger SELECT (1/$1::int)::text', idempotencyKey: 'free' }
    await expect(pool.query({ ...failing, values: [0] })).rejects.toMatchObject({ code: '22012' })
    expect(await pool.query({ ...failing, values: [1] })).toMatchObject({ rowCount: 1 })
  })

  test('that carries its time may be too old; the table forgets what is', async () => {
    const pool = setting.thaw()
    const at = (days: number) => {
      const hex = (Date.now() - days * 86_400_000).toString(16).padStart(12, '0')
      return `${hex.slice(0, 8)}-${hex.slice(8)}-7abc-8def-0123456789ab`
    }
    expect(await failure(keyed(pool, 'old', at(7.1)))).toMatchObject({ kind: 'idempotency-key', reason: 'expired' })
    const [young, late] = [at(6), at(7.5)]
    await keyed(pool, 'young', young)
    expect(await setting.rows('young')).toBe(1)
    // Stored in time, and asked for again when it could not come for the first time any more.
    const age =
      "UPDATE thaw_idempotency SET key = $2, key_time = now() - interval '7.5 days', stored_at = now() - interval '2 days' WHERE key = $1"
    await setting.server.query(age, [young, late])
    expect(await keyed(pool, 'young', late)).toMatchObject({ repeated: true, rows: [{ token: 'young' }] })
    expect(await failure(keyed(pool, 'another', late))).toMatchObject({ reason: 'another-statement' })
    expect(await setting.rows('young')).toBe(1)
  })

  test('that expires before its lost answer can be asked after: what was stored is told', async () => {
    const pool = setting.thaw()
    const hex = (Date.now() - 6 * 86_400_000).toString(16).padStart(12, '0')
    const key = `${hex.slice(0, 8)}-${hex.slice(8)}-7abc-8def-0123456789ab`
    const lost = setting.proxy.loseNextAnswer({ containing: 'edge', cut: 'drop' })
    const written = keyed(pool, 'edge', key)
    await lost.struck
    // Two days pass.
    await setting.server.query(
      "UPDATE thaw_idempotency SET key_time = key_time - interval '2 days', stored_at = stored_at - interval '2 days' WHERE key = $1",
      [key],
    )
    setting.proxy.cut('rst')
    await setting.server.query('ALTER TABLE thaw_idempotency DROP CONSTRAINT thaw_idempotency_not_expired')
    await setting.server.query(
      'ALTER TABLE thaw_idempotency ADD CONSTRAINT thaw_idempotency_not_expired CHECK (state <> $$void$$) NOT VALID',
    )
    expect(await written).toMatchObject({ repeated: true })
    expect(await setting.rows('edge')).toBe(1)
    await setting.server.query('DROP TABLE thaw_idempotency')
  })

  test('of a batch', async () => {
    const pool = setting.thaw()
    const both = () =>
      pool.batch(
        [
          { text: INSERT, values: ['kb'] },
          { text: INSERT, values: ['kb'] },
        ],
        { idempotencyKey: 'kb' },
      )
    const lost = setting.proxy.loseNextAnswer({ containing: 'thaw_idempotency' })
    expect((await both()).map(({ repeated }) => repeated)).toEqual([true, true])
    await lost.struck
    expect(await both()).toMatchObject([{ repeated: true }, { repeated: true }])
    expect(await setting.rows('kb')).toBe(2)
  })

  test('without its table', async () => {
    await setting.server.query('DROP TABLE thaw_idempotency')
    expect(await failure(keyed(setting.thaw(), 'nowhere'))).toMatchObject({ kind: 'idempotency-key', reason: 'no-table' })
    expect(await setting.rows('nowhere')).toBe(0)
  })
})
