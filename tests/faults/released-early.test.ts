/**
 * A client that its caller releases too early, or twice.
 *
 * What breaks: a statement waits for the reply to its client's probe, the client is released, and the statement is aborted: nothing is left whose answer
 * would say that the connection is free again. And a second `release()` reaches the caller that has got the client meanwhile: with plain `pg` it does not
 * throw, two callers share a connection and a transaction, and a waiting `pool.query()` never calls back ("Release called on client …" is thrown in it).
 * With Thaw no place is lost, every caller is served, and the second release throws.
 */

import { Pool as NeonPool } from '@thaw/neon'
import { type PoolConfig, Pool as ThawPool } from '@thaw/pg'
import { type FaultProxy, startFaultProxy } from '@thaw/testkit'
import type pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { until } from './until.ts'

useOneNeon()

const RELEASED_TWICE = 'Release called on client which has already been released to the pool.'

let proxy: FaultProxy
let pool: ThawPool

beforeAll(async () => {
  proxy = await startFaultProxy(neon.postgres)
})
afterAll(() => proxy.close())
afterEach(() => pool.end({ timeoutMillis: 100 }))

const pidOf = async (client: Pick<pg.Pool, 'query'>) => (await client.query('select pg_backend_pid() as pid')).rows[0]?.pid as number

describe.each(['@thaw/pg', '@thaw/neon'] as const)('%s', (driver) => {
  function openPool(config: PoolConfig = {}): ThawPool {
    const all = { max: 1, hedge: false, share: false, ...config } as const
    pool =
      driver === '@thaw/pg'
        ? new ThawPool({ connectionString: proxy.urlFor(neon.postgres.url), ...all })
        : (new NeonPool({ connectionString: neon.url, ...all }) as unknown as ThawPool)
    pool.on('error', () => {})
    return pool
  }

  describe('a statement is aborted while its client is probed', () => {
    const network = () => (driver === '@thaw/pg' ? proxy : neon.network)
    afterEach(() => network().setDelay({ toServerMillis: 0, toClientMillis: 0 }))
    // Each time.
    const probed: PoolConfig = { trustMillis: 0 }

    test.each(['before the abort', 'after it'])('and the client is released %s: the next caller gets the connection', async (when) => {
      const client = await openPool(probed).connect()
      const pid = await pidOf(client)
      const abort = new AbortController()
      const aborted = client.query({ text: 'select 1', signal: abort.signal } as pg.QueryConfig).catch((error: Error) => error)
      if (when === 'before the abort') client.release()
      abort.abort(new Error('not wanted'))
      if (when === 'after it') client.release()
      expect(await aborted).toMatchObject({ message: 'not wanted' })
      expect(await pidOf(pool)).toBe(pid)
      expect(pool.stats().stale).toBe(0)
    })

    test('whose probe is on its way', async () => {
      const client = await openPool(probed).connect()
      await client.query('select 1')
      network().setDelay({ toServerMillis: 0, toClientMillis: 200 })
      const { bytesToServer } = network().counters
      const abort = new AbortController()
      const aborted = client.query({ text: 'select 1', signal: abort.signal } as pg.QueryConfig).catch((error: Error) => error)
      client.release()
      await until('the probe is sent', () => network().counters.bytesToServer > bytesToServer)
      abort.abort(new Error('not wanted'))
      network().setDelay({ toServerMillis: 0, toClientMillis: 0 })
      expect(await aborted).toMatchObject({ message: 'not wanted' })
      expect((await pool.query('select 2 as two')).rows).toEqual([{ two: 2 }])
    })
  })

  describe('released twice while others wait', () => {
    const ways: [string, (one: ThawPool) => unknown, PoolConfig?][] = [
      ['', () => {}],
      ['with a listener', (one) => one.on('release', () => {})],
      ['with maxUses', () => {}, { maxUses: 100 }],
      ['with `connect` wrapped', (one) => Object.assign(one, { connect: one.connect.bind(one) })],
    ]
    test.each(ways)('%s: each pool.query() is answered', async (_name, prepare, config) => {
      prepare(openPool(config))
      const client = await pool.connect()
      const waiting = ['Alice', 'Bob', 'Carol'].map((name) => pool.query('select $1::text as name, pg_sleep(0.01)', [name]))
      client.release()
      expect(() => client.release()).toThrow(RELEASED_TWICE)
      // A tick later another caller may have it.
      await new Promise((resolve) => setImmediate(resolve))
      try {
        client.release()
      } catch {}
      expect((await Promise.all(waiting)).map(({ rows }) => rows[0]?.name)).toEqual(['Alice', 'Bob', 'Carol'])
      expect(pool.totalCount).toBe(1)
    })

    test('each that waits for a client has it alone', async () => {
      const client = await openPool().connect()
      let users = 0
      const use = async () => {
        const own = await pool.connect()
        expect(++users).toBe(1)
        await own.query('begin')
        await own.query('commit')
        users--
        own.release()
      }
      const callback = new Promise<void>((resolve, reject) => {
        pool.connect((error, own, release) => {
          users++
          own?.query('select 1', (failed) => {
            users--
            release()
            if (error || failed) reject(error ?? failed)
            else resolve()
          })
        })
      })
      const all = [use(), callback, use()]
      client.release()
      expect(() => client.release()).toThrow(RELEASED_TWICE)
      await Promise.all(all)
    })
  })
})
