/**
 * State that lives in a session, and clients that a caller keeps.
 *
 * What breaks: the connection of a client that sits in a variable, or one on which a caller has run SET or LISTEN. With plain `pg` the statement is
 * sent into the void, and hangs or fails without a word about whether it was executed. With Thaw the client is asked first, is never
 * reconnected behind its owner's back, and the loss of its state is reported.
 */

import { Client, ConnectionLostError } from '@thaw/pg'
import { createStoppableClock } from '@thaw/testkit'
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'
import { until } from './until.ts'

const setting = useSetting()

describe('a client that a caller keeps', () => {
  test.each(['fin-on-next-byte', 'rst-on-next-byte', 'drop'] as const)(
    'is asked after a silence (%s), and its statement not executed',
    async (cut) => {
      const clock = createStoppableClock()
      const pool = setting.thaw({ clock, max: 1 })
      const client = await pool.connect()
      await client.query('SELECT 1')
      clock.addWall(60_000)
      setting.proxy.cut(cut)
      const dials = setting.proxy.counters.flowsOpened
      const error = await failure(client.query(INSERT, [cut]))
      expect(error).toBeInstanceOf(ConnectionLostError)
      expect(error).toMatchObject({ outcome: 'not-executed', reason: 'unsent' })
      expect(await failure(client.query('SELECT 1'))).toMatchObject({ kind: 'connection-lost', outcome: 'not-executed' })
      // Of one that says nothing the server is asked, on a connection that is closed again.
      if (cut === 'drop') await until('no other is open', () => setting.proxy.flows.every(({ state }) => state !== 'open'))
      else expect(setting.proxy.counters.flowsOpened).toBe(dials)
      client.release()
      expect(await setting.rows(cut)).toBe(0)
      expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    },
  )

  test.each(['fin', 'rst'] as const)('whose connection has died meanwhile (%s) fails every statement as not executed', async (cut) => {
    const pool = setting.thaw({ max: 1 })
    const client = await pool.connect()
    setting.proxy.cut(cut)
    // The pool has taken its place back.
    await until('the pool has let go of it', () => pool.totalCount === 0)
    for (const signal of [undefined, new AbortController().signal])
      expect(await failure(client.query({ text: INSERT, values: ['held'], signal } as pg.QueryConfig))).toMatchObject({
        kind: 'connection-lost',
        outcome: 'not-executed',
      })
    client.release()
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('is not handed to another caller before the statement that was not awaited', async () => {
    const clock = createStoppableClock()
    const pool = setting.thaw({ clock, max: 1 })
    const client = await pool.connect()
    clock.addWall(60_000)
    const first = client.query('SELECT 1 AS n')
    client.release()
    expect(pool.idleCount).toBe(0)
    const second = pool.query('SELECT 2 AS n')
    expect((await first).rows).toEqual([{ n: 1 }])
    expect((await second).rows).toEqual([{ n: 2 }])
    expect(setting.proxy.counters.flowsOpened).toBe(1)
  })

  test('costs one round trip more after a silence, and none otherwise', async () => {
    const clock = createStoppableClock()
    const client = await setting.thaw({ clock }).connect()
    const trips = async (work: () => Promise<unknown>) => {
      const before = setting.proxy.counters.roundTrips
      await work()
      return setting.proxy.counters.roundTrips - before
    }
    await client.query('SELECT 1')
    expect(await trips(() => client.query('SELECT 1'))).toBe(1)
    clock.addWall(60_000)
    expect(await trips(() => client.query('SELECT 1'))).toBe(2)
    expect(await trips(() => client.query('SELECT 1'))).toBe(1)
    client.release()
  })

  test('statements that were not awaited keep their order', async () => {
    const clock = createStoppableClock()
    const client = await setting.thaw({ clock }).connect()
    clock.addWall(60_000)
    const answers = await Promise.all([1, 2, 3].map((n) => client.query('SELECT $1::int AS n', [n])))
    client.release()
    expect(answers.map(({ rows }) => rows[0].n)).toEqual([1, 2, 3])
  })

  test('a Client of its own, without a pool, tells what became of its statement', async () => {
    const client = new Client(setting.proxy.urlFor(setting.server.url))
    await client.connect()
    const lost = setting.proxy.loseNextAnswer({ containing: 'ledger' })
    expect(await failure(client.query(INSERT, ['alone']))).toMatchObject({ code: '08007' })
    await lost.struck
    expect(await failure(client.query('SELECT 1'))).toMatchObject({ kind: 'connection-lost', outcome: 'not-executed' })
    await client.end()
  })
})

describe('state of the session', () => {
  test.each([
    'SET search_path = public',
    'LISTEN news',
    'PREPARE p AS SELECT 1',
    'CREATE TEMP TABLE t (a int)',
    'SELECT pg_advisory_lock(1)',
  ])('%s: its loss is told, and nothing on the connection is repeated', async (statement) => {
    const pool = setting.thaw({ max: 1 })
    const client = await pool.connect()
    await client.query(statement)
    client.release()
    const lost = setting.proxy.loseNextAnswer({ containing: 'version' })
    const error = await failure(pool.query('SELECT version()'))
    await lost.struck
    expect(error).toMatchObject({ kind: 'connection-lost', reason: 'read' })
    expect(setting.events.filter(({ type }) => type === 'sessionLost')).toHaveLength(1)
  })

  test('what the connect event sets does not count: every new connection gets it', async () => {
    const pool = setting.thaw({ max: 1 })
    pool.on('connect', (client) => void client.query("SET application_name = 'mine'"))
    await pool.query('SELECT 1')
    const lost = setting.proxy.loseNextAnswer({ containing: 'version' })
    await pool.query('SELECT version()')
    await lost.struck
    expect(setting.events.filter(({ type }) => type === 'sessionLost')).toHaveLength(0)
    expect((await pool.query('SHOW application_name')).rows).toEqual([{ application_name: 'mine' }])
  })

  test('SET LOCAL does not count: it ends with its transaction', async () => {
    const pool = setting.thaw({ max: 1 })
    const client = await pool.connect()
    for (const statement of ['BEGIN', "SET LOCAL statement_timeout = '1s'", 'COMMIT']) await client.query(statement)
    client.release()
    const lost = setting.proxy.loseNextAnswer({ containing: 'version' })
    await pool.query('SELECT version()')
    await lost.struck
  })
})
