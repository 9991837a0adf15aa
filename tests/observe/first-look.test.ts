/** The ordinary case of a serverless function: one statement on a pool that was empty, a freeze, another statement. */

import { Pool as NeonPool, neonConfig } from '@thaw/neon'
import { logTo, Pool } from '@thaw/pg'
import { createStoppableClock, startNeon, startPostgres } from '@thaw/testkit'
import { expect, test } from 'vitest'

const FREEZE_MILLIS = 6 * 60_000

test.for(['query', 'connect'] as const)('pg: a freeze after a single first %s is noticed', async (how) => {
  await using server = await startPostgres()
  const clock = createStoppableClock()
  const pool = new Pool({ connectionString: server.url, clock })
  const gaps: number[] = []
  const lines: string[] = []
  pool.subscribe((event) => void (event.type === 'thawed' && gaps.push(event.gapMillis)))
  pool.subscribe(logTo({ info: (line) => lines.push(line), warn: (line) => lines.push(line) }))
  if (how === 'query') await pool.query('select 1')
  else (await pool.connect()).release()
  clock.addWall(FREEZE_MILLIS)
  await pool.query('select 1')
  expect(gaps).toEqual([expect.closeTo(FREEZE_MILLIS, -5)])
  // Longer than the pool's idleTimeoutMillis: no check has to find whether it is dead.
  expect(lines).toEqual(['thaw: thawed after 6 min: 0 dead, 1 idle for too long, 0 failed'])
  await pool.end()
})

test('neon: a freeze after a single first query is noticed', async () => {
  await using neon = await startNeon()
  const clock = createStoppableClock()
  Object.assign(neonConfig, neon.driver)
  const pool = new NeonPool({ connectionString: neon.url, clock })
  const gaps: number[] = []
  pool.subscribe((event) => void (event.type === 'thawed' && gaps.push(event.gapMillis)))
  await pool.query('select 1')
  clock.addWall(FREEZE_MILLIS)
  await pool.query('select 1')
  expect(gaps).toEqual([expect.closeTo(FREEZE_MILLIS, -5)])
  await pool.end()
})
