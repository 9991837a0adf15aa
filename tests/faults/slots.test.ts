/**
 * A client whose connection dies in the hands of a caller who never gives it back.
 *
 * What breaks: the socket of a client in use, while its caller has gone (an exception between `connect` and `release`), or keeps it for
 * later. With plain `pg` its place in the pool is lost for good: with `max: 1` no caller is ever served again. With Thaw the place is free
 * when the socket has closed, and a late `release()` does no harm.
 */

import type pg from 'pg'
import { afterEach, describe, expect, test } from 'vitest'
import type { Driver } from './child.ts'
import { proxy, server, useFreshProxy } from './fresh-proxy.ts'
import { createPool, discard, outcome, takeClient } from './side-by-side.ts'

useFreshProxy()

const pools: pg.Pool[] = []

function openPool(driver: Driver, max: number): pg.Pool {
  const pool = createPool(driver, { connectionString: proxy.urlFor(server.url), max })
  pools.push(pool)
  return pool
}

/** Takes all of the pool's clients, and lets their connections die. */
async function loseAll(pool: pg.Pool, kind: 'fin' | 'rst'): Promise<pg.PoolClient[]> {
  const clients = await Promise.all(Array.from({ length: pool.options.max }, () => takeClient(pool)))
  const gone = clients.map((client) => new Promise((resolve) => client.once('end', resolve)))
  expect(proxy.cut(kind)).toBe(clients.length)
  await Promise.all(gone)
  return clients
}

afterEach(async () => {
  await Promise.all(pools.splice(0).map(discard))
})

describe.each(['fin', 'rst'] as const)('cut by %s', (kind) => {
  test.each([1, 10])('the places of %i clients become free, though none is released', async (max) => {
    const next = async (driver: Driver) => {
      const pool = openPool(driver, max)
      await loseAll(pool, kind)
      const calls = await Promise.all(Array.from({ length: max }, () => outcome(driver, takeClient(pool))))
      return { calls: new Set(calls), pool }
    }
    expect((await next('pg')).calls).toEqual(new Set(['hangs']))
    const { calls, pool } = await next('thaw')
    expect(calls).toEqual(new Set(['ok']))
    expect(pool).toMatchObject({ totalCount: max, idleCount: 0, waitingCount: 0 })
  })
})

describe('a late release', () => {
  const broken = new Error('It broke.')
  test.each([[undefined], [true], [broken]])('(%o) harms no one', async (reason) => {
    const pool = openPool('thaw', 2)
    const [first, second] = await loseAll(pool, 'rst')
    const holder = await takeClient(pool)
    first?.release(reason)
    expect(() => first?.release(reason)).toThrow(/already been released/)
    expect(pool.totalCount).toBe(1)
    const other = await takeClient(pool)
    second?.release(reason)
    expect(pool).toMatchObject({ totalCount: 2, idleCount: 0, waitingCount: 0 })
    await holder.query('select')
    await other.query('select')
    holder.release()
    other.release()
    expect(pool).toMatchObject({ totalCount: 2, idleCount: 2, waitingCount: 0 })
  })

  test('tells each of the listeners once', async () => {
    const pool = openPool('thaw', 1)
    const seen: string[] = []
    for (const name of ['release', 'remove'] as const) pool.on(name, () => seen.push(name))
    const [client] = await loseAll(pool, 'fin')
    await (await takeClient(pool)).query('select')
    client?.release()
    expect(seen).toEqual(['remove', 'release'])
  })
})

test('a caller who still waits for its statement is told, and gives the client back as ever', async () => {
  const pool = openPool('thaw', 1)
  const client = await takeClient(pool)
  const statement = outcome('thaw', client.query('select pg_sleep(60)'))
  const waiting = outcome('thaw', pool.query('select'))
  proxy.cut('fin')
  expect(await statement).toBe('ECONNRESET')
  client.release()
  expect(await waiting).toBe('ok')
  expect(pool).toMatchObject({ totalCount: 1, idleCount: 1, waitingCount: 0 })
})
