/** Statements that are prepared by themselves over a WebSocket: Neon's driver is made of pg 8.8. */

import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { Pool } from './index.ts'

useOneNeon()

let pool: Pool

const ask = async (n: number) => (await pool.query('select $1::int as n, * from prepared', [n])).rows
const names = async () => (await pool.query('select name from pg_prepared_statements')).rows.map(({ name }) => name)

beforeAll(async () => {
  pool = new Pool({ connectionString: neon.url, max: 1, prepare: 2 } as never)
  await pool.query('create table prepared as select 1 as m')
})
afterEach(() => pool.query('deallocate all'))
afterAll(() => pool.end())

test('after so many uses it has a name', async () => {
  for (const n of [1, 2]) expect(await ask(n)).toEqual([{ n, m: 1 }])
  expect(await names()).toEqual([])
  for (const n of [3, 4]) expect(await ask(n)).toEqual([{ n, m: 1 }])
  expect(await names()).toEqual([expect.stringMatching(/^thaw_/)])
})

test('a result type that has changed, and DEALLOCATE ALL, are healed on the same connection', async () => {
  for (const n of [1, 2, 3]) await ask(n)
  await pool.query('alter table prepared add column o int default 2')
  for (const n of [1, 2, 3]) expect(await ask(n)).toEqual([{ n, m: 1, o: 2 }])
  await pool.query('deallocate all')
  for (const n of [1, 2, 3]) expect(await ask(n)).toEqual([{ n, m: 1, o: 2 }])
  expect(await names()).toHaveLength(1)
  expect((pool as unknown as { stats(): object }).stats()).toMatchObject({ connected: 1 })
})
