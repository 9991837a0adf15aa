/**
 * A fleet at Neon's own address, whose proxy gives each client a backend of its own and invents the process id that it tells. A pooler does that, too, so
 * the address has to tell the two apart.
 */

import { afterEach, expect, test, vi } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { Pool } from './index.ts'

useOneNeon({ inventsProcessIds: true })

const PATIENCE = { timeout: 20_000, interval: 50 }
const HOST = 'ep-cool-1.eu-central-1.aws.neon.tech'

const pools: Pool[] = []

afterEach(async () => {
  await Promise.all(pools.splice(0).map((pool) => pool.end({ timeoutMillis: 1000 })))
})

function createPool(host: string, keep: number): { readonly pool: Pool; readonly troubles: string[] } {
  const url = new URL(neon.url)
  url.hostname = host
  url.port = ''
  const pool = new Pool({ connectionString: url.href, max: 1, idleTimeoutMillis: 0, hedge: false, fleet: { name: 'orders', keep } })
  const troubles: string[] = []
  pool.subscribe((event) => event.type === 'fleetTrouble' && troubles.push(event.reason))
  pools.push(pool)
  return { pool, troubles }
}

test('it looks, and each session ends when no caller uses it, so that the compute can go to sleep', async () => {
  const { pool, troubles } = createPool(HOST, 0)
  const { rows } = await pool.query('select pg_backend_pid() as pid')
  const { rows: named } = await pool.query(
    "select application_name as name, current_setting('idle_session_timeout') as ends from pg_stat_activity where pid = $1",
    [rows[0].pid],
  )
  expect(named).toEqual([{ name: 'fleet:orders', ends: '3s' }])
  const client = await pool.connect()
  expect((await client.query("select current_setting('idle_session_timeout') as ends")).rows).toEqual([{ ends: '0' }])
  client.release()
  expect(troubles).toEqual([])
  await vi.waitFor(async () => {
    const { rowCount } = await neon.postgres.query("select from pg_stat_activity where application_name like '%fleet%'")
    expect(rowCount).toBe(0)
  }, PATIENCE)
  expect((await pool.query('select 1 as one')).rows).toEqual([{ one: 1 }])
  expect(troubles).toEqual([])
})

test("at any other address a process id that is not the backend's is a pooler's: it is switched off", async () => {
  const { pool, troubles } = createPool('db.example', 0)
  for (let i = 0; i < 3; i++) expect((await pool.query('select $1::int as i', [i])).rows).toEqual([{ i }])
  await vi.waitFor(() => expect(troubles).toEqual(['pooler']), PATIENCE)
})
