/**
 * Statements that take too long, and callers who lose interest.
 *
 * What breaks: the server is slow, or blocked. With plain `pg` `query_timeout` rejects and leaves the statement running and its effect to
 * come, on a connection that is handed to the next caller; a freeze makes it reject a statement whose answer has arrived. With Thaw the server is asked to
 * stop, the connection goes, and the error tells whether the effect may be there.
 */

import { DeadlineError, OutcomeUnknownError } from '@thaw/pg'
import { createStoppableClock } from '@thaw/testkit'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { describe, expect, test } from 'vitest'
import { activeBackends, failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting({ tls: true })

const SLEEP = 'SELECT pg_sleep(60)'
const SLOW_INSERT = 'INSERT INTO ledger SELECT $1::text FROM pg_sleep(60)'

describe('query_timeout', () => {
  test.each(['plain', 'TLS'])('ends the statement at the server too (%s)', async (wire) => {
    const ssl = wire === 'TLS' && setting.server.ca !== undefined ? { ssl: { ca: setting.server.ca } } : {}
    const stock = setting.plain({ query_timeout: 500, ...ssl })
    expect((await failure(stock.query(SLEEP))).message).toBe('Query read timeout')
    await activeBackends(setting.server, 1, 'pg_sleep')
    await setting.server.query(`SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query = '${SLEEP}'`)

    const pool = setting.thaw({ query_timeout: 500, ...ssl })
    const error = await failure(pool.query(SLEEP))
    expect(error).toBeInstanceOf(DeadlineError)
    expect(error.message).toMatch(/^Query read timeout/)
    await activeBackends(setting.server, 0, 'pg_sleep')
    await expect.poll(() => pool.totalCount).toBe(0)
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('of a write that was sent leaves its outcome unknown', async () => {
    const pool = setting.thaw()
    const error = await failure(pool.query({ text: SLOW_INSERT, values: ['late'], query_timeout: 500 }))
    expect(error).toBeInstanceOf(OutcomeUnknownError)
    expect(error.cause).toBeInstanceOf(DeadlineError)
    await activeBackends(setting.server, 0, 'pg_sleep')
    expect(await setting.rows('late')).toBe(0)
  })

  test('of a statement that was still waiting for its turn: it was not executed, and the one before goes on', async () => {
    const client = await setting.thaw().connect()
    const first = client.query('SELECT 1 FROM pg_sleep(1)')
    const second = client.query({ text: INSERT, values: ['queued'], query_timeout: 50 })
    expect(await failure(second)).toBeInstanceOf(DeadlineError)
    expect((await first).rowCount).toBe(1)
    client.release()
    expect(await setting.rows('queued')).toBe(0)
  })

  // As of a caller that gives what is left of its own time. Plain pg sends it, and says so after a millisecond.
  test('below zero: it is not sent', async () => {
    const stock = setting.plain()
    expect((await failure(stock.query({ text: INSERT, values: ['over'], query_timeout: -5 } as pg.QueryConfig))).message).toBe(
      'Query read timeout',
    )
    await expect.poll(() => setting.rows('over')).toBe(1)

    const pool = setting.thaw()
    const over = { text: INSERT, values: ['over'], query_timeout: -5 }
    expect(await failure(pool.query(over))).toBeInstanceOf(DeadlineError)
    const client = await pool.connect()
    expect(await failure(client.query(over))).toBeInstanceOf(DeadlineError)
    const cursor = client.query(Object.assign(new Cursor(INSERT, ['over']), { query_timeout: -5 }))
    expect(await failure(cursor.read(1))).toBeInstanceOf(DeadlineError)
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    client.release()
    expect(await setting.rows('over')).toBe(1)
  })

  // With plain pg nothing is probed.
  describe.each([
    ['a statement', (client: pg.PoolClient) => client.query(INSERT, ['kept'])],
    [
      'a new Query()',
      (client: pg.PoolClient) =>
        new Promise((done, reject) => client.query(new pg.Query(INSERT, ['kept'], (error) => (error ? reject(error) : done(undefined))))),
    ],
    ['a cursor', (client: pg.PoolClient) => client.query(new Cursor('SELECT 1')).read(1)],
  ])('of %s on a client that was kept', (_name, send) => {
    const kept = async (): Promise<pg.PoolClient> => {
      const client = await setting.thaw({ query_timeout: 500, trustMillis: 0, probeTimeoutMillis: 800 }).connect()
      client.on('error', () => {})
      await client.query('SELECT 1')
      return client
    }

    test('does not run while that is probed', async () => {
      const client = await kept()
      setting.proxy.setDelay({ toServerMillis: 300 })
      const since = performance.now()
      await send(client)
      expect(performance.now() - since).toBeGreaterThan(590)
      client.release(true)
    })

    test('gives the probe as long, and at least probeTimeoutMillis: nothing was executed, and nothing is said of the connection', async () => {
      const client = await kept()
      setting.proxy.setDelay({ toServerMillis: 1500 })
      const since = performance.now()
      expect(await failure(send(client))).toMatchObject({ kind: 'deadline' })
      expect(performance.now() - since).toBeGreaterThan(790)
      expect(performance.now() - since).toBeLessThan(1500)
      setting.proxy.setDelay({})
      expect((await client.query({ text: 'SELECT 1 AS one', query_timeout: 5000 } as pg.QueryConfig)).rows).toEqual([{ one: 1 }])
      client.release()
    })
  })

  test('inside a transaction by hand: rolled back, so nothing is unknown', async () => {
    const client = await setting.thaw({ query_timeout: 500 }).connect()
    await client.query('BEGIN')
    const error = await failure(client.query(SLOW_INSERT, ['in-transaction']))
    client.release(error)
    expect(error).toBeInstanceOf(DeadlineError)
  })

  test('that expires in a freeze does not accuse an answer that has arrived', async () => {
    const freezeInMiddle = async (pool: pg.Pool): Promise<unknown> => {
      const answer = pool.query({ text: 'SELECT 1 FROM pg_sleep(1)', query_timeout: 2000 } as pg.QueryConfig)
      answer.catch(() => {})
      await activeBackends(setting.server, 1, 'pg_sleep(1)')
      // For the event loop a spin is as good as a freeze: the answer has arrived, and the timer is over.
      const over = performance.now() + 2500
      while (performance.now() < over);
      return answer
    }
    expect((await failure(freezeInMiddle(setting.plain()))).message).toBe('Query read timeout')
    await freezeInMiddle(setting.thaw())
  })
})

describe('a signal', () => {
  test('ends a statement, at the server too', async () => {
    const pool = setting.thaw()
    const controller = new AbortController()
    const read = failure(pool.query({ text: SLEEP, signal: controller.signal }))
    await activeBackends(setting.server, 1, 'pg_sleep')
    const reason = new Error('the user went away')
    controller.abort(reason)
    expect(await read).toBe(reason)
    await activeBackends(setting.server, 0, 'pg_sleep')
  })

  test('ends a write with its outcome unknown and the reason as the cause', async () => {
    const controller = new AbortController()
    const write = failure(setting.thaw().query({ text: SLOW_INSERT, values: ['aborted'], signal: controller.signal }))
    await activeBackends(setting.server, 1, 'pg_sleep')
    controller.abort()
    const error = await write
    expect(error).toBeInstanceOf(OutcomeUnknownError)
    expect(error.cause).toBe(controller.signal.reason)
  })

  test('that has aborted already: nothing is sent', async () => {
    const pool = setting.thaw()
    const signal = AbortSignal.abort()
    expect(await failure(pool.query({ text: INSERT, values: ['never'], signal }))).toBe(signal.reason)
    expect(await failure(pool.connect({ signal }))).toBe(signal.reason)
    const client = await pool.connect()
    expect(await failure(client.query({ text: INSERT, values: ['never'], signal }))).toBe(signal.reason)
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    client.release()
    expect(await setting.rows('never')).toBe(0)
  })

  test('that has aborted already: a call that pg itself refuses leaves the client as it was', async () => {
    const client = await setting.thaw().connect()
    const config = { text: INSERT, signal: AbortSignal.abort() }
    const call = () => client.query(config as never, [], 'no callback' as never)
    expect(call).toThrow('callback is not a function')
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    client.release()
  })

  test('that has aborted already: nothing is sent in pipeline mode either', async () => {
    const pool = setting.thaw({ pipeline: true } as pg.PoolConfig)
    const client = await pool.connect()
    const signal = AbortSignal.abort()
    expect(await failure(client.query({ text: INSERT, values: ['piped'], signal } as pg.QueryConfig))).toBe(signal.reason)
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    client.release()
    expect(await setting.rows('piped')).toBe(0)
  })

  test('of a call that pg itself refuses ends no other statement', async () => {
    const client = await setting.thaw().connect()
    const running = client.query('SELECT 1 FROM pg_sleep(0.2)')
    const controller = new AbortController()
    // A portal of its own cannot share the wire.
    Object.assign(client, { pipeline: true })
    const refused = failure(client.query({ text: 'SELECT 1', rows: 1, signal: controller.signal } as pg.QueryConfig))
    Object.assign(client, { pipeline: false })
    await refused
    controller.abort()
    expect((await running).rowCount).toBe(1)
    client.release()
  })

  test('ends the wait for a connection, and no other caller waits longer', async () => {
    const pool = setting.thaw({ max: 1 })
    const client = await pool.connect()
    const controller = new AbortController()
    const given = failure(pool.connect({ signal: controller.signal }))
    const next = pool.query('SELECT 1 AS one')
    controller.abort()
    expect(await given).toBe(controller.signal.reason)
    expect(pool.waitingCount).toBe(1)
    client.release()
    expect((await next).rows).toEqual([{ one: 1 }])
    // It leaves no listener behind, and does no harm afterwards.
    controller.abort()
  })

  test('ends the wait for a connection once, and hands over nothing afterwards, though the pool ends in the same moment', async () => {
    const pool = setting.thaw({ max: 1 })
    const held = await pool.connect()
    held.on('error', () => {})
    const controller = new AbortController()
    const told: (string | undefined)[] = []
    pool.connect({ signal: controller.signal }, (error) => told.push(error?.message))
    await new Promise<void>((resolve) => {
      pool.end({ timeoutMillis: 1 }, () => {
        controller.abort(new Error('aborted by its owner'))
        resolve()
      })
    })
    await new Promise((resolve) => setImmediate(resolve))
    expect(told.length).toBe(1)
  })

  test('whose reason is frozen is passed on as it is', async () => {
    const pool = setting.thaw({ max: 1 })
    const held = await pool.connect()
    const controller = new AbortController()
    const reason = Object.freeze(new Error('frozen'))
    const waiting = failure(pool.connect({ signal: controller.signal }))
    controller.abort(reason)
    expect(await waiting).toBe(reason)
    held.release()
  })

  test('that is none is refused', async () => {
    await expect(setting.thaw().connect({ signal: 5 as unknown as AbortSignal })).rejects.toThrow(
      /Option "signal" is a number, but must be an AbortSignal/,
    )
  })
})

test('keep-alive is on unless the user says otherwise', async () => {
  const clock = createStoppableClock()
  expect(setting.thaw({ clock }).options).toMatchObject({ keepAlive: true, keepAliveInitialDelayMillis: 10_000 })
  expect(setting.thaw({ keepAlive: false }).options.keepAlive).toBe(false)
})
