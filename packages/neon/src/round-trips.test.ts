/** What a new connection costs, by the proxy's count. */

import * as stock from '@neondatabase/serverless'
import { expect, test } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { Pool } from './index.ts'

useOneNeon()

test.for([
  ['the password unasked', 'password', 3],
  ['asked for the password', false, 5],
] as const)('%s', async ([, pipelineConnect, most]) => {
  stock.neonConfig.pipelineConnect = pipelineConnect
  const pool = new Pool({ connectionString: neon.url })
  neon.network.counters.reset()
  await pool.query('SELECT 1')
  // Two flights that leave together may be seen as one.
  expect(neon.network.counters.roundTrips).toBeLessThanOrEqual(most)
  const before = neon.network.counters.roundTrips
  await pool.query('SELECT $1::int', [1])
  expect(neon.network.counters.roundTrips - before).toBe(1)
  await pool.end()
})
