/** Tests that mock `pg`, as many do, go on to pass when the code that they test imports the pool from here. */

import { expect, test, vi } from 'vitest'

vi.mock('pg', async () => {
  const stock = await vi.importActual<typeof import('pg')>('pg')
  const pool = { query: vi.fn(async () => ({ rows: [{ one: 42 }] })), connect: vi.fn(), on: vi.fn(), end: vi.fn() }
  const Pool = vi.fn(function mocked() {
    return pool
  })
  return { ...stock, default: { ...stock.default, Pool }, Pool }
})

test('the pool is that of the mock, each time that one is made', async () => {
  const [{ Pool }, mocked] = await Promise.all([import('./index.ts'), import('pg')])
  for (let turn = 0; turn < 2; turn++) {
    const pool = new Pool({ connectionString: 'postgres://app@127.0.0.1:1/shop' })
    expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 42 }])
    await pool.end()
  }
  expect(mocked.default.Pool).toHaveBeenCalledTimes(2)
})
