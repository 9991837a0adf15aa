/** Reads share where one address leads to PostgreSQL first, and to a pooler later: a failover, a change of DNS, a balancer. */

import { startPooler } from '@thaw/testkit'
import { expect, test, vi } from 'vitest'
import { ask, createPool, PATIENCE, pool, proxy, server, TEN, useSharingWorld } from '../test/sharing-world.ts'

useSharingWorld()

const plus = (index: number) => pool.query('select $1::int + 1 as n', [index - 1])

test.each([
  ['one connection', 1],
  ['four', 4],
])('each gets its own rows, with %s', PATIENCE, async (_many, max) => {
  await using pooler = await startPooler(server, { sessions: 2 })
  createPool({ share: 'auto', max })
  pool.on('error', () => {})
  for (let turn = 0; turn < 8; turn++) await Promise.all(TEN.map(ask))
  proxy.moveTo({ host: '127.0.0.1', port: pooler.port })
  proxy.cut('rst')
  await vi.waitFor(() => expect(pool.idleCount).toBe(0), PATIENCE)
  for (let turn = 0; turn < 4; turn++) {
    const answers = await Promise.all(TEN.map((index) => (index % 2 ? ask : plus)(index)))
    expect(answers.map(({ rows }) => rows.map(({ n }) => n))).toEqual(TEN.map((index) => [index]))
  }
  expect(pooler.bytesDropped).toBe(0)
})

test('a new connection is asked about in the flight of its first read, and is shared then', PATIENCE, async () => {
  createPool({ share: 'auto' })
  const questions = () =>
    proxy.flows
      .flatMap(({ chunks }) => chunks.filter(({ direction }) => direction === 'to-server'))
      .flatMap(({ data }) => data.toString('latin1').match(/SELECT pg_catalog.pg_backend_pid\(\)/g) ?? []).length
  for (const connections of [1, 2, 3]) {
    await Promise.all(TEN.map(ask))
    await Promise.all(TEN.map(ask))
    expect(questions()).toBe(connections)
    const before = proxy.counters.roundTrips
    await Promise.all(TEN.map(ask))
    // The first one leaves at once.
    expect(proxy.counters.roundTrips - before).toBeLessThanOrEqual(3)
    proxy.cut('rst')
    await vi.waitFor(() => expect(pool.totalCount).toBe(0), PATIENCE)
  }
})
