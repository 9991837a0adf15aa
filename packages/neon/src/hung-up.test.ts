/** A request whose client hangs up while it waits for one of Neon's WebSockets. The platform is played by core's own rules. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { createInvocation, endInvocation, type Invocation, runInvocation, systemClock } from '@thaw/core'
import { expect, test } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { Pool } from './index.ts'

useOneNeon()

test('the wait for a place ends, and no client is left', async () => {
  const pool = new Pool({ connectionString: neon.url, max: 1 })
  const holder = await pool.connect()
  const request = new AbortController()
  const parts = { id: 'a', marginMillis: 0, clock: systemClock, parentSignal: request.signal }
  const invocation = createInvocation(parts)
  const storage = () => new AsyncLocalStorage<Invocation>()
  const works = [() => pool.connect(), () => pool.query('CREATE TABLE late ()'), () => pool.batch(['CREATE TABLE late ()'])]
  const answers = runInvocation(invocation, storage, () => Promise.allSettled(works.map((work) => work())))
  await expect.poll(() => pool.waitingCount).toBe(3)
  const reason = new Error('The client has hung up')
  request.abort(reason)
  // The place is still taken.
  expect(await answers).toEqual(works.map(() => ({ status: 'rejected', reason })))
  holder.release()
  expect(endInvocation(invocation)).toEqual([])
  await pool.query('SELECT 1')
  expect(pool.stats()).toMatchObject({ connected: 1, total: 1, idle: 1 })
  await pool.end()
})
