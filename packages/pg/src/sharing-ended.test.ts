/** A caller closes a client on which the pool has reads of others: one that it was told of by `connect`, for instance. */

import type stock from 'pg'
import { describe, expect, test } from 'vitest'
import { ask, createPool, lock, PATIENCE, pool, TEN, untilLocked, useSharingWorld } from '../test/sharing-world.ts'

useSharingWorld()

const COUNT = 'select count(*)::int as n from read_me'

describe.each([
  ['end()', (client: stock.PoolClient) => void (client as unknown as stock.Client).end()],
  ['end(callback)', (client: stock.PoolClient) => (client as unknown as stock.Client).end(() => {})],
])('%s by a listener of connect, while others read', (_, end) => {
  test.each([
    [true, 3],
    [false, 'Connection terminated'],
  ])('share: %s: all are answered, but one that had it for itself is told as by pg.Pool', PATIENCE, async (share, first) => {
    const clients: stock.PoolClient[] = []
    createPool({ share }).on('connect', (client) => clients.push(client))
    await pool.query('select 1')
    const unlock = await lock()
    const answers = Promise.allSettled([pool.query(COUNT), ...TEN.slice(1, 8).map(ask)])
    await untilLocked()
    for (const client of clients) end(client)
    await unlock()
    expect((await answers).map((answer) => (answer.status === 'fulfilled' ? answer.value.rows[0].n : answer.reason.message))).toEqual([
      first,
      1,
      2,
      3,
      4,
      5,
      6,
      7,
    ])
    expect(pool.totalCount).toBe(1)
  })
})
