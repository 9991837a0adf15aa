/**
 * Results as bytes (`binary: true`), in transactions, batches, `once` and keys.
 *
 * What breaks: nothing. Plain `pg` sends a statement without values by the simple protocol, whose results are text. Thaw sends several by the extended one, and asks for text where pg would have got it.
 */

import { IDEMPOTENCY_SQL, type Pool, type PoolConfig } from '@thaw/pg'
import { beforeAll, expect, test } from 'vitest'
import { useSetting } from './setting.ts'

const setting = useSetting()
const BINARY = { binary: true } as PoolConfig
const TEXT = 'SELECT 1.5::float8 AS n, 7::int8 AS big, true AS yes'

beforeAll(() => setting.server.query(IDEMPOTENCY_SQL))

const CALLS: [string, (pool: Pool, config: { text: string; values?: unknown[] }) => Promise<unknown>][] = [
  ['a transaction', (pool, config) => pool.transaction(async (client) => (await client.query(config)).rows)],
  ['a batch', async (pool, config) => (await pool.batch([config]))[0]?.rows],
  ['once', async (pool, config) => (await pool.query({ ...config, once: true })).rows],
  ['a key', async (pool, config) => (await pool.query({ ...config, idempotencyKey: `${config.text} in bytes` })).rows],
]

test.each(CALLS)('%s reads as pg does', async (_what, call) => {
  for (const config of [{ text: TEXT }, { text: `${TEXT}, $1::int4 AS it`, values: [3] }]) {
    const { rows } = await setting.plain(BINARY).query(config)
    expect(await call(setting.thaw(BINARY), config)).toEqual(rows)
  }
})
