/** A listener may use the pool at once: its state is right before any listener hears of it. */

import type { ThawEvent } from '@thaw/core'
import { illegalMoves } from '@thaw/pool'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { proxy, server, useOneServer } from '../test/one-server.ts'
import { createTimerClock } from '../test/timer-clock.ts'
import { Pool } from './index.ts'

useOneServer()

let pool: Pool

const clock = createTimerClock()

beforeAll(() => server.query('create table seen (type text)'))
afterEach(() => pool.end({ timeoutMillis: 1000 }))
afterAll(() => expect(illegalMoves).toEqual([]))

test('a listener that writes each event down with the same pool hears of one thaw once', async () => {
  pool = new Pool({ connectionString: proxy.urlFor(server.url), max: 2, clock })
  const written: Promise<unknown>[] = []
  await pool.query('select 1')
  await pool.query('select 1')
  pool.subscribe(({ type }) => {
    if (type === 'thawed') written.push(pool.query('insert into seen values ($1)', [type]))
  })
  clock.skipped.wall += 60_000
  await pool.query('select 1')
  await Promise.all(written)
  expect(pool.stats().thawed).toBe(1)
  expect((await server.query('select from seen')).rowCount).toBe(1)
})

test('a listener of dead connections that uses the pool is served', async () => {
  pool = new Pool({ connectionString: proxy.urlFor(server.url), max: 2, trustMillis: 0 })
  const mine = pool
  const served: Promise<unknown>[] = []
  for (const client of await Promise.all([pool.connect(), pool.connect()])) client.release()
  const use = () => void (mine.ending || served.push(mine.query('select 1')))
  pool.on('remove', use)
  pool.subscribe(({ type }) => {
    if (type === 'stale') use()
  })
  proxy.cut('rst')
  await pool.query('select 1')
  await expect.poll(() => served.length).toBeGreaterThanOrEqual(4)
  await Promise.all(served)
})

test('the pool tells of the death of an idle connection once, though the server says why before its socket ends', async () => {
  pool = new Pool({ connectionString: server.url })
  const errors: Error[] = []
  pool.on('error', (error) => errors.push(error))
  const { rows } = await pool.query('select pg_backend_pid() as pid')
  await server.query('select pg_terminate_backend($1)', [rows[0].pid])
  await expect.poll(() => errors).toHaveLength(1)
  await expect.poll(() => pool.totalCount).toBe(0)
  await pool.query('select 1')
  expect(errors).toMatchObject([{ code: '57P01' }])
})

test.each(['a client', 'a read'])(
  'a living connection that has state of its session on it and loses a race for %s is kept',
  async (what) => {
    const events: ThawEvent[] = []
    pool = new Pool({ connectionString: server.url, max: 1, trustMillis: 0 })
    pool.subscribe((event) => events.push(event))
    await pool.query(`set application_name to 'kept'`)
    const { rows } = await pool.query('select pg_backend_pid() as pid')
    process.kill(rows[0].pid, 'SIGSTOP')
    const served = what === 'a client' ? pool.connect().then((client) => client.release()) : pool.query('select 1')
    await expect.poll(() => events.some((event) => event.type === 'connected' && event.hedge)).toBe(true)
    process.kill(rows[0].pid, 'SIGCONT')
    await served
    await expect.poll(() => [pool.totalCount, pool.idleCount]).toEqual([1, 1])
    expect((await pool.query('select pg_backend_pid() as pid')).rows).toEqual(rows)
    expect(pool.stats().sessionLost).toBe(0)
  },
)
