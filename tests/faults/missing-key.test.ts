/**
 * The variable that was meant to be the key is missing.
 *
 * What breaks: `{ idempotencyKey: request.headers['idempotency-key'] }`, and the browser has sent none. Taken for "no key", each try is stored once more, and nothing says so.
 */

import { Pool as NeonPool, neonConfig } from '@thaw/neon'
import { Pool } from '@thaw/pg'
import { afterEach, describe, expect, test } from 'vitest'
import { failure } from './setting.ts'

/** Nothing listens there: what is sent fails with another error. */
const NOWHERE = { connectionString: 'postgres://user:password@127.0.0.1:1/db', connectionTimeoutMillis: 200 }
const WRITE = { text: 'INSERT INTO payments VALUES (1)' }
const MISSING: { idempotencyKey?: string } = JSON.parse('{}')
// As JavaScript, and TypeScript without exactOptionalPropertyTypes, let it pass.
const undefinedKey = { idempotencyKey: MISSING.idempotencyKey } as { idempotencyKey: string }

type Call = (pool: Pool, given: { idempotencyKey: string | false }) => Promise<unknown>

const CALLS: readonly [string, Call][] = [
  ['pool.query()', (pool, given) => pool.query({ ...WRITE, ...given })],
  ['pool.batch()', (pool, given) => pool.batch([WRITE], given)],
]

afterEach(() => {
  neonConfig.poolQueryViaFetch = false
})

describe.each([
  ['@thaw/pg', () => new Pool(NOWHERE)],
  ['@thaw/neon', () => new NeonPool(NOWHERE) as unknown as Pool],
  [
    '@thaw/neon over HTTP',
    () => {
      neonConfig.poolQueryViaFetch = true
      return new NeonPool(NOWHERE) as unknown as Pool
    },
  ],
])('%s', (_driver, create) => {
  test.each(CALLS)('%s with a key that is undefined is refused', async (_call, call) => {
    const pool = create()
    const error = await failure(call(pool, undefinedKey))
    expect(error).toMatchObject({ name: 'OptionError', option: 'idempotencyKey' })
    expect(error.message).toMatch(/is undefined, .* is missing\. To send it without a key, leave the property out, or give false\./)
    await pool.end()
  })

  test.each(CALLS)('%s with false has none, on purpose', async (_call, call) => {
    const pool = create()
    expect(await failure(call(pool, { idempotencyKey: false }))).not.toMatchObject({ name: 'OptionError' })
    await pool.end()
  })

  test('a part of a batch with one is refused', async () => {
    const pool = create()
    expect(await failure(pool.batch([{ ...WRITE, ...undefinedKey }]))).toMatchObject({ name: 'OptionError', option: 'statements' })
    await pool.end()
  })
})
