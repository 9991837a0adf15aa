/** A pool that is made from a function of the bindings where there are none: in Node, which loads the modules of an app that is built for Workers. */

import { expect, test, vi } from 'vitest'
import { neonConfig, Pool } from './index.ts'

const bindings = vi.fn((env: { readonly DATABASE_URL: string }) => env.DATABASE_URL)
const refused = { kind: 'option', option: 'config', message: expect.stringContaining('on Cloudflare Workers only') }

test('can be made, and ended', async () => {
  const pool = new Pool(bindings)
  expect(pool).toBeInstanceOf(Pool)
  expect([Pool.name, pool.constructor.name, pool.totalCount]).toEqual(['Pool', 'Pool', 0])
  await pool.end()
  expect(bindings).not.toHaveBeenCalled()
})

test('says at its first use why it cannot connect, by the promise and by the callback', async () => {
  const pool = new Pool(bindings)
  await expect(pool.query('SELECT 1')).rejects.toMatchObject(refused)
  await expect(pool.connect()).rejects.toMatchObject(refused)
  expect(await new Promise((resolve) => pool.query('SELECT 1', (error: Error) => resolve(error)))).toMatchObject(refused)
  expect(await new Promise((resolve) => pool.connect((error) => resolve(error)))).toMatchObject(refused)
  expect(pool.totalCount).toBe(0)
  await pool.end()
})

test('by fetch too, which must not go anywhere else', async () => {
  neonConfig.poolQueryViaFetch = true
  try {
    await expect(new Pool(bindings).query('SELECT 1')).rejects.toMatchObject(refused)
  } finally {
    neonConfig.poolQueryViaFetch = false
  }
})
