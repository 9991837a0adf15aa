/**
 * A pool that is to end while something is going on: the last milliseconds of a serverless process.
 *
 * What breaks: a client that is never released, a connection attempt that is never answered, a caller that waits. With plain `pg` `end()` waits for
 * all of them, some forever. With Thaw `end({ timeoutMillis })` ends by then, and every caller is told.
 */

import { Pool as ThawPool } from '@thaw/pg'
import type pg from 'pg'
import { afterEach, describe, expect, test } from 'vitest'
import type { Driver } from './child.ts'
import { proxy, server, useFreshProxy } from './fresh-proxy.ts'
import { createDialLog, createPool, discard, outcome, takeClient } from './side-by-side.ts'
import { until } from './until.ts'

useFreshProxy()

const TIMEOUT_MILLIS = 50

const pools: pg.Pool[] = []

function openPool(driver: Driver, config: pg.PoolConfig = {}): pg.Pool {
  const pool = createPool(driver, { connectionString: proxy.urlFor(server.url), ...config })
  pools.push(pool)
  return pool
}

function end(driver: Driver, pool: pg.Pool): Promise<string> {
  return outcome(driver, pool instanceof ThawPool ? (pool.end({ timeoutMillis: TIMEOUT_MILLIS }) as Promise<void>) : pool.end())
}

afterEach(async () => {
  await Promise.all(pools.splice(0).map(discard))
})

/** Something that goes on, and the calls that wait because of it. */
type Situation = (pool: pg.Pool, driver: Driver) => Promise<Promise<string>[]>

const SITUATIONS: Readonly<Record<string, Situation>> = {
  async 'clients are out'(pool) {
    await Promise.all([takeClient(pool), takeClient(pool)])
    return []
  },
  async 'clients are out, and others wait for them'(pool, driver) {
    await Promise.all([takeClient(pool), takeClient(pool)])
    return [outcome(driver, pool.query('select')), outcome(driver, pool.connect())]
  },
  async 'a statement is running'(pool, driver) {
    const client = await takeClient(pool)
    return [outcome(driver, client.query('select pg_sleep(60)'))]
  },
  async 'a statement is running on a client that was given back'(pool, driver) {
    const client = await pool.connect()
    const call = outcome(driver, client.query('select pg_sleep(60)'))
    client.release()
    return [call]
  },
  async 'dials are under way'(pool, driver) {
    await proxy.deafen()
    const calls = [1, 2, 3].map(() => outcome(driver, pool.query('select')))
    await until('two dials have arrived', () => proxy.counters.struck.deaf >= 2)
    return calls
  },
}

/** Plain pg ends here: it tears down what is running. */
const PLAIN_ENDS = ['a statement is running on a client that was given back']

test.each(Object.entries(SITUATIONS))('while %s', async (name, begin) => {
  const plain = openPool('pg', { max: 2 })
  await begin(plain, 'pg')
  expect(await end('pg', plain)).toBe(PLAIN_ENDS.includes(name) ? 'ok' : 'hangs')
  await discard(plain)
  await proxy.accept()

  const pool = openPool('thaw', { max: 2 })
  const calls = await begin(pool, 'thaw')
  expect(await end('thaw', pool)).toBe('ok')
  for (const word of await Promise.all(calls)) expect(word).not.toMatch(/^(ok|hangs)$/)
  expect(pool).toMatchObject({ totalCount: 0, idleCount: 0, waitingCount: 0 })
})

test('while a write is running: its caller is told that its outcome is unknown', async () => {
  await server.query('create table if not exists slow (token text)')
  const pool = openPool('thaw', { max: 1 })
  const call = pool.query("insert into slow select 'ended' from pg_sleep(60)").catch((error: unknown) => error)
  await until('it runs', async () => {
    const { rowCount } = await server.query("select from pg_stat_activity where state = 'active' and query like 'insert into slow%'")
    return rowCount === 1
  })
  expect(await end('thaw', pool)).toBe('ok')
  expect(await call).toMatchObject({ kind: 'outcome-unknown', code: '08007', cause: { message: expect.stringContaining('pool.end') } })
})

test('a socket whose other end is silently gone is closed, a second later', async () => {
  const sockets: { readonly destroyed: boolean }[] = []
  for (const driver of ['pg', 'thaw'] as const) {
    const pool = openPool(driver)
    const client = (await takeClient(pool)) as pg.PoolClient & { connection: { stream: { destroyed: boolean } } }
    client.release()
    proxy.cut('drop')
    expect(await end(driver, pool)).toBe('ok')
    sockets.push(client.connection.stream)
  }
  await until("Thaw's socket is closed", () => sockets[1]?.destroyed === true)
  expect(sockets[0]?.destroyed).toBe(false)
})

test('while dials are refused, and callers wait for the next', async () => {
  const warm = openPool('thaw')
  await warm.query('select')
  proxy.refuse()
  const { Client, ended } = createDialLog()
  const pool = openPool('thaw', { max: 2, Client })
  const calls = [1, 2, 3].map(() => outcome('thaw', pool.query('select')))
  await until('dials have been refused', () => ended.length > 3)
  expect(await end('thaw', pool)).toBe('ok')
  expect(await Promise.all(calls)).toEqual(Array(3).fill('Cannot use a pool after calling end on the pool'))
  const dials = ended.length
  await proxy.accept()
  await warm.query('select')
  expect(ended).toHaveLength(dials)
})

test('a connection that is no longer wanted is not waited for', async () => {
  // Longer than a test: an end() that waited for it would not end in time.
  const pool = openPool('thaw', { connectionTimeoutMillis: 600_000 }) as ThawPool
  const gone = new AbortController()
  await proxy.deafen()
  const waiting = pool.connect({ signal: gone.signal })
  await until('the pool opens a connection', () => pool.totalCount === 1)
  gone.abort(new Error('no longer wanted'))
  await expect(waiting).rejects.toThrow('no longer wanted')
  await pool.end()
})

describe('without a timeout', () => {
  test('end waits for who is out, and serves who waits', async () => {
    const next = async (driver: Driver) => {
      const pool = openPool(driver, { max: 1 })
      const client = await takeClient(pool)
      const waiting = outcome(driver, pool.query('select'))
      const ended = outcome(driver, pool.end())
      client.release()
      return Promise.all([waiting, ended])
    }
    expect(await next('pg')).toEqual(['hangs', 'ok'])
    expect(await next('thaw')).toEqual(['ok', 'ok'])
  })
})
