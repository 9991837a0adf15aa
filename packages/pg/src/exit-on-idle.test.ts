/** `allowExitOnIdle`: a connection that no caller has keeps no process alive, also if its caller gave it back while a statement ran on it. */

import stock from 'pg'
import { expect, test } from 'vitest'
import { server, useOneServer } from '../test/one-server.ts'
import { Pool } from './index.ts'

useOneServer()

/** Does its socket keep the process alive? */
function isHeld(client: stock.PoolClient): boolean {
  const { stream } = (client as unknown as { connection: { stream: { _handle: { hasRef(): boolean } } } }).connection
  return stream._handle.hasRef()
}

test.each([
  ['pg', stock.Pool],
  ['@thaw/pg', Pool as unknown as typeof stock.Pool],
])('%s', async (_name, PoolClass) => {
  const pool = new PoolClass({ connectionString: server.url, allowExitOnIdle: true, max: 1 })
  const client = await pool.connect()
  expect(isHeld(client)).toBe(true)
  const last = client.query('select 1')
  client.release()
  await last
  await expect.poll(() => isHeld(client)).toBe(false)
  const again = await pool.connect()
  expect(again).toBe(client)
  expect(isHeld(again)).toBe(true)
  again.release()
  expect(isHeld(client)).toBe(false)
  await pool.query('select 1')
  await expect.poll(() => isHeld(client)).toBe(false)
  await pool.end()
})
