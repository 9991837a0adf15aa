/**
 * The table of keys is made by many at once, and asked for again while it is in use.
 *
 * What breaks: a deployment starts twelve processes, each of which makes sure that the table is there. PostgreSQL's CREATE TABLE IF NOT EXISTS fails for all but one of those that come at once, and
 * ALTER TABLE … IF NOT EXISTS and CREATE INDEX IF NOT EXISTS lock the table before they look: behind one slow write all others wait. Thaw looks first, and lets one at a time make what is missing.
 */

import { IDEMPOTENCY_SQL, type Pool } from '@thaw/pg'
import { beforeEach, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting({ authentication: 'trust' })
const query = (text: string) => setting.server.query(text)
const create = (pool: Pool) => pool.createIdempotencyTable()

beforeEach(() => query('DROP TABLE IF EXISTS thaw_idempotency'))

/** Connected, so that what they do next comes at once. */
async function twelve(options: string): Promise<Pool[]> {
  const pools = Array.from({ length: 12 }, () => setting.thaw({ max: 1, options }))
  await Promise.all(pools.map((pool) => pool.query('SELECT 1')))
  return pools
}

const LEVELS = ['read committed', 'repeatable read', 'serializable']

test.each(LEVELS)('by twelve at once (%s)', async (level) => {
  const options = `-c default_transaction_isolation=${level.replace(' ', '\\ ')}`
  const pools = await twelve(options)
  for (let round = 0; round < 5; round++) {
    await Promise.all(pools.map(create))
    await query('DROP TABLE thaw_idempotency')
    await Promise.all(pools.map((pool) => pool.query(IDEMPOTENCY_SQL)))
    await query('DROP TABLE thaw_idempotency')
  }
})

test('as PostgreSQL’s own words for it do not', async () => {
  const pools = await twelve('')
  for (let round = 0; ; round++) {
    const ends = await Promise.allSettled(
      pools.map((pool) => pool.query(`CREATE TABLE IF NOT EXISTS raced_${round} (key text PRIMARY KEY)`)),
    )
    const codes = ends.filter((end) => end.status === 'rejected').map(({ reason }) => reason.code)
    if (codes.length === 0) continue
    // unique_violation in pg_type; or, a moment later, duplicate_object.
    for (const code of codes) expect(['23505', '42710']).toContain(code)
    break
  }
})

test('again, beside a write that is at work: nothing waits', async () => {
  await create(setting.thaw())
  const writer = await setting.plain().connect()
  await writer.query("BEGIN; INSERT INTO thaw_idempotency VALUES ('slow', '', 'done')")
  const pool = setting.thaw({ lock_timeout: 1_000 })
  await create(pool)
  expect(await pool.query({ text: INSERT, values: ['beside'], idempotencyKey: 'beside' })).toMatchObject({ rowCount: 1 })
  await writer.query('COMMIT')
  writer.release()
})

test.each([
  ['its column for rows', 'ALTER TABLE thaw_idempotency DROP COLUMN results'],
  ['its index', 'DROP INDEX thaw_idempotency_key_time'],
])('of before, without %s: by twelve at once', async (_name, text) => {
  await create(setting.thaw())
  await query(`INSERT INTO thaw_idempotency VALUES ('kept', '', 'done'); ${text}`)
  await Promise.all((await twelve('')).map(create))
  const { rows } = await query("SELECT key, results, to_regclass('thaw_idempotency_key_time')::text AS index FROM thaw_idempotency")
  expect(rows).toEqual([{ key: 'kept', results: null, index: 'thaw_idempotency_key_time' }])
})

test('by a role that may only use it, where it is there; where it is not, its error says why', async () => {
  await query('CREATE ROLE app LOGIN')
  const url = Object.assign(new URL(setting.proxy.urlFor(setting.server.url)), { username: 'app' })
  const app = setting.thaw({ connectionString: url.href })
  expect(await failure(create(app))).toMatchObject({ code: '42501' })
  await create(setting.thaw())
  await create(app)
  await query('ALTER ROLE app SET default_transaction_read_only = on')
  await create(setting.thaw({ connectionString: url.href }))
})

test('in the schema in which a table of its name would be made, though there is one behind it', async () => {
  await create(setting.thaw())
  await query('CREATE SCHEMA tenant')
  await create(setting.thaw({ options: '-c search_path=tenant,public' }))
  const { rows } = await query("SELECT to_regclass('tenant.thaw_idempotency') IS NOT NULL AS there")
  expect(rows).toEqual([{ there: true }])
  await query('DROP SCHEMA tenant CASCADE')
})
