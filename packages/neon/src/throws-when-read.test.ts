/** What a caller gives `pool.query()` may throw when it is read, as on pg: that caller alone is told. */

import { expect, test } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { Pool } from './index.ts'

useOneNeon()

const TEXT = 'select $1::int as n'

const throwing = (key: string) =>
  Object.defineProperty({ text: TEXT, values: [1] }, key, {
    get: () => {
      throw new Error(`cannot read ${key}`)
    },
    enumerable: true,
  })

test.each([{}, { share: true }, { prepare: 1 }])('a getter throws: its caller alone is told, with %o', async (config) => {
  const pool = new Pool({ connectionString: neon.url, max: 1, ...config })
  for (const key of ['text', 'values', 'name', 'rowMode', 'types', 'signal', 'once', 'idempotencyKey']) {
    const [own, other] = await Promise.allSettled([pool.query(throwing(key)), pool.query(TEXT, [2])])
    expect(own).toMatchObject({ reason: { message: `cannot read ${key}` } })
    expect(other).toMatchObject({ value: { rows: [{ n: 2 }] } })
  }
  expect(pool.totalCount).toBe(1)
  await pool.end()
})
