/** Lines for people: what a pool writes after a thaw, and when a write is lost. */

import { createStoppableClock } from '@thaw/testkit'
import { beforeAll, expect, test, vi } from 'vitest'
import { proxy, server, useOneServer } from '../test/one-server.ts'
import { logTo, Pool } from './index.ts'

useOneServer()

beforeAll(() => server.query('create table orders (id int)'))

test('one line for a thaw, and one for a write whose answer was lost', async () => {
  const clock = createStoppableClock()
  await using pool = Object.assign(new Pool({ connectionString: proxy.urlFor(server.url), max: 3, clock, idleTimeoutMillis: 0 }), {
    [Symbol.asyncDispose]: () => pool.end({ timeoutMillis: 1000 }),
  })
  const lines: string[] = []
  const logger = { info: (line: string) => lines.push(line), warn: (line: string) => lines.push(`! ${line}`) }
  const clients = await Promise.all([1, 2, 3].map(() => pool.connect()))
  for (const client of clients) client.release()
  await pool.query('select 1')
  pool.subscribe(logTo(logger))
  expect(lines).toEqual([])
  proxy.cut('rst')
  clock.addWall(6 * 60_000)
  await pool.query('select 1')
  expect(lines).toEqual(['thaw: thawed after 6 min: 3 dead, 0 failed'])
  lines.length = 0
  proxy.loseNextAnswer()
  await pool.query('insert into orders values (1)').catch(() => {})
  expect(lines[0]).toMatch(/^! thaw: a statement \(write\) lost its connection.*: whether it was executed is unknown$/)
})

test('a logger that throws, and one that is none', async () => {
  const pool = new Pool({ connectionString: server.url })
  const warn = vi.fn(() => {
    throw new Error('full disk')
  })
  pool.subscribe(logTo({ info: warn, warn }))
  expect((await pool.query('select 1 as x')).rows).toEqual([{ x: 1 }])
  await pool.end()
  expect(() => logTo({} as never)).toThrow('without the methods info and warn')
})
