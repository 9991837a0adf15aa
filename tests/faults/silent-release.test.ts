/**
 * A connection that falls silent under a statement whose caller has released the client too early, or sends it after the release.
 *
 * What breaks: a NAT forgets the flow while the statement is under way. With plain `pg` the next caller gets that client, and hangs until the kernel gives up. With Thaw the server is asked whether the
 * statement is still running, as for a client that its caller has kept: within a few seconds its caller is told, and the place in the pool is another's.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { Pool as NeonPool } from '@thaw/neon'
import { OutcomeUnknownError, Pool as ThawPool } from '@thaw/pg'
import { type FaultProxy, startFaultProxy } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { failure } from './setting.ts'
import { until } from './until.ts'

useOneNeon()

const HANGS_MILLIS = 5000
const INSERT = 'insert into ledger values ($1)'

let proxy: FaultProxy
let pool: pg.Pool

beforeAll(async () => {
  await neon.postgres.query('create table ledger (token text)')
})
afterAll(() => proxy?.close())

type Driver = 'pg' | '@thaw/pg' | '@thaw/neon'

async function openPool(driver: Driver, options: object = {}): Promise<FaultProxy> {
  const config = { max: 1, hedge: false, ...options }
  if (driver === '@thaw/neon') {
    pool = new NeonPool({ connectionString: neon.url, ...config }) as unknown as pg.Pool
    pool.on('error', () => {})
    return neon.compute
  }
  await proxy?.close()
  proxy = await startFaultProxy(neon.postgres)
  pool = new (driver === 'pg' ? pg.Pool : ThawPool)({ connectionString: proxy.urlFor(neon.postgres.url), ...config })
  pool.on('error', () => {})
  return proxy
}

interface Way {
  /** Has the statement sent, and no caller left who has the client. Returns its promise, wrapped. */
  readonly send: (token: string) => Promise<{ readonly work: Promise<unknown> }>
  readonly options?: object
}

async function onAnIdleClient(token: string): Promise<{ work: Promise<unknown> }> {
  const client = await pool.connect()
  client.release()
  await until('it is idle', () => pool.idleCount === 1)
  return { work: client.query(INSERT, [token]) }
}

const WAYS: Record<string, Way> = {
  'released while it is under way': {
    async send(token) {
      const client = await pool.connect()
      const work = client.query(INSERT, [token])
      client.release()
      return { work }
    },
  },
  'one of a chain that is not awaited': {
    async send(token) {
      const client = await pool.connect()
      const work = client.query('select pg_sleep(0.05)').then(() => client.query(INSERT, [token]))
      client.release()
      return { work }
    },
  },
  'sent on an idle client': { send: onAnIdleClient },
  'sent on an idle client that is probed first': { send: onAnIdleClient, options: { trustMillis: 0 } },
  'sent by a listener of `release`': {
    async send(token) {
      let work: Promise<unknown> = Promise.resolve()
      pool.once('release', (_error: unknown, client: pg.PoolClient) => {
        work = client.query(INSERT, [token])
      })
      const client = await pool.connect()
      client.release()
      return { work }
    },
  },
}

afterEach(async () => {
  if (pool instanceof pg.Pool && !(pool instanceof ThawPool)) return
  await (pool as ThawPool).end({ timeoutMillis: 100 })
})

test('on plain pg the next caller hangs', async () => {
  const network = await openPool('pg')
  await pool.query('select 1')
  const lost = network.loseNextAnswer({ containing: 'ledger', cut: 'drop' })
  const { work } = await (WAYS['released while it is under way'] as Way).send('plain')
  work.catch(() => {})
  await lost.struck
  const next = pool.query('select 2 as two').then(
    () => 'served',
    () => 'refused',
  )
  expect(await Promise.race([next, sleep(HANGS_MILLIS).then(() => 'hangs')])).toBe('hangs')
})

describe.each(['@thaw/pg', '@thaw/neon'] as const)('%s', (driver) => {
  test.each(Object.entries(WAYS))('%s: its caller is told, and the next one is served', async (_name, { send, options }) => {
    const network = await openPool(driver, options)
    await pool.query('select 1')
    const lost = network.loseNextAnswer({ containing: 'ledger', cut: 'drop' })
    const { work } = await send('lost')
    const told = failure(work)
    await lost.struck
    // Each waits for ten seconds at most.
    const others = ['Bob', 'Carol', 'Dave'].map((name) => pool.query('select $1::text as name', [name]).then(({ rows }) => rows[0]?.name))
    expect(await Promise.all(others)).toEqual(['Bob', 'Carol', 'Dave'])
    const error = await told
    expect(error).toBeInstanceOf(OutcomeUnknownError)
    expect(error.cause).toMatchObject({ code: 'ETIMEDOUT' })
  })

  test('one that is merely slow is left alone', async () => {
    await openPool(driver)
    const client = await pool.connect()
    const work = client.query('select pg_sleep(4)::text as slept')
    client.release()
    expect((await pool.query('select 2 as two')).rows).toEqual([{ two: 2 }])
    expect((await work).rows).toEqual([{ slept: '' }])
  })
})
