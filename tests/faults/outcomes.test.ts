/**
 * Statements that lose their connection after they were sent.
 *
 * What breaks: the network or the server, at each point of a statement's life. With plain `pg` the user sees one and the same socket error
 * for a write that was stored, one that was not, and a read that could simply be sent again. With Thaw the caller sees what became of it, or nothing at
 * all. Each row of the outcome table is struck for real, and the ledger tells what really happened.
 */

import { ConnectionLostError, OutcomeUnknownError } from '@thaw/pg'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { activeBackends, failure, INSERT, useSetting } from './setting.ts'
import { until } from './until.ts'

const setting = useSetting()

describe('a read', () => {
  test.each(['fin', 'rst'] as const)('whose answer is lost (%s) is sent once more, inside READ ONLY', async (cut) => {
    const stock = setting.plain()
    await stock.query('SELECT 1')
    const lost = setting.proxy.loseNextAnswer({ containing: 'version', cut })
    await failure(stock.query('SELECT version() AS v'))
    await lost.struck

    const pool = setting.thaw()
    await pool.query('SELECT 1')
    const again = setting.proxy.loseNextAnswer({ containing: 'version', cut })
    expect((await pool.query('SELECT version() AS v')).rows[0].v).toMatch(/^PostgreSQL/)
    await again.struck
    expect(setting.outcomes()).toEqual([
      expect.objectContaining({ outcome: 'unknown', reason: 'read', statement: 'read', action: 'retried' }),
    ])
    expect(pool.stats()).toMatchObject({ total: 1, idle: 1, waiting: 0 })
  })

  test('whose answer breaks off midway is sent once more', async () => {
    const pool = setting.thaw()
    await pool.query('SELECT 1')
    const lost = setting.proxy.loseNextAnswer({ containing: 'generate_series', afterBytes: 20_000, until: 'ready-for-query' })
    const { rows: numbers } = await pool.query('SELECT n FROM generate_series(1, 5000) AS n')
    await lost.struck
    expect(numbers.length).toBe(5000)
    expect(numbers.at(-1)).toEqual({ n: 5000 })
  })

  test('is sent once more, not twice', async () => {
    const pool = setting.thaw()
    await pool.query('SELECT 1')
    const both = [1, 2].map(() => setting.proxy.loseNextAnswer({ containing: 'version' }))
    const error = await failure(pool.query('SELECT version() AS v'))
    await Promise.all(both.map(({ struck }) => struck))
    // Inside the READ ONLY transaction it is rolled back with it: certainly without effect, and there is one retry left for that.
    expect(error).toBeInstanceOf(ConnectionLostError)
  })

  test('that turns out to write is refused by PostgreSQL, and reported as unknown', async () => {
    const pool = setting.thaw()
    // A function in front of pg_catalog's own, by the user's own search_path: no lexer can see that.
    await setting.server.query(
      `CREATE SCHEMA shadow; CREATE FUNCTION shadow.version() RETURNS text LANGUAGE sql AS $$INSERT INTO ledger VALUES ('shadow') RETURNING token$$`,
    )
    await setting.server.query('ALTER ROLE postgres SET search_path = shadow, pg_catalog, public')
    try {
      await pool.query('SELECT 1')
      const lost = setting.proxy.loseNextAnswer({ containing: 'version' })
      const error = await failure(pool.query('SELECT version() AS v'))
      await lost.struck
      expect(error).toBeInstanceOf(OutcomeUnknownError)
      expect(await setting.rows('shadow')).toBe(1)
    } finally {
      await setting.server.query('ALTER ROLE postgres RESET search_path')
      await setting.server.query('DROP SCHEMA shadow CASCADE')
    }
  })

  test('by a client in hand fails as one that did no harm', async () => {
    const client = await setting.thaw().connect()
    const lost = setting.proxy.loseNextAnswer({ containing: 'version' })
    const error = await failure(client.query('SELECT version()'))
    await lost.struck
    client.release(error)
    expect(error).toBeInstanceOf(ConnectionLostError)
    expect(error).toMatchObject({ reason: 'read', retryable: true, code: 'ECONNRESET', syscall: 'read', errno: expect.any(Number) })
  })
})

describe('a write', () => {
  test.each([
    ['the request is lost', 'loseNextRequest', 0],
    ['the answer is lost', 'loseNextAnswer', 1],
  ] as const)('of which %s is unknown, and not sent again', async (_what, lose, stored) => {
    const stock = setting.plain()
    await stock.query('SELECT 1')
    const before = setting.proxy[lose]({ containing: 'ledger' })
    expect((await failure(stock.query(INSERT, [`stock ${lose}`]))).code).toBe('ECONNRESET')
    await before.struck

    const pool = setting.thaw()
    await pool.query('SELECT 1')
    const lost = setting.proxy[lose]({ containing: 'ledger' })
    const error = await failure(pool.query(INSERT, [lose]))
    await lost.struck
    expect(error).toBeInstanceOf(OutcomeUnknownError)
    expect(error).toMatchObject({
      code: '08007',
      retryable: false,
      reason: 'write-in-flight',
      evidence: { statement: 'write', inTransaction: false },
    })
    expect(error).not.toHaveProperty('syscall')
    expect((error.cause as { code: string }).code).toBe('ECONNRESET')
    expect(setting.outcomes()).toEqual([expect.objectContaining({ outcome: 'unknown', statement: 'write', action: 'reported' })])
    expect(await setting.rows(lose)).toBe(stored)
  })

  test('declared idempotent is sent once more', async () => {
    const pool = setting.thaw()
    await pool.query('CREATE TABLE IF NOT EXISTS once (token text PRIMARY KEY)')
    const lost = setting.proxy.loseNextAnswer({ containing: 'once' })
    await pool.query({ text: 'INSERT INTO once VALUES ($1) ON CONFLICT DO NOTHING', values: ['a'], idempotent: true })
    await lost.struck
    expect((await setting.server.query('SELECT FROM once')).rowCount).toBe(1)
  })

  test.each([
    ['dies before it is sent', (pool: pg.Pool) => void pool.on('acquire', () => void setting.proxy.cut('rst'))],
    ['cannot be reached', () => setting.proxy.refuse()],
  ])('declared idempotent whose second try %s is unknown: the first may be stored', async (what, hurt) => {
    const pool = setting.thaw({ max: 1 })
    await pool.query('SELECT 1')
    // Only now: opening a connection may take longer on a busy machine.
    Object.assign(pool.options, { connectionTimeoutMillis: 500 })
    const lost = setting.proxy.loseNextAnswer({ containing: 'ledger' })
    const call = failure(pool.query({ text: INSERT, values: [what], idempotent: true }))
    await lost.struck
    hurt(pool)
    expect(await call).toBeInstanceOf(OutcomeUnknownError)
    expect(await setting.rows(what)).toBe(1)
  })

  test('whose backend is ended casts doubt on the other connections', async () => {
    // No other connection is opened where the probe is late.
    const pool = setting.thaw({ max: 2, trustMillis: 60_000, hedge: false })
    for (const client of await Promise.all([pool.connect(), pool.connect()])) client.release()
    const running = failure(pool.query(`DO $$BEGIN PERFORM pg_sleep(60); END$$`))
    const [pid] = await activeBackends(setting.server, 1, 'pg_sleep(60)')
    await setting.server.query('SELECT pg_terminate_backend($1)', [pid])
    await running
    const before = setting.proxy.counters.roundTrips
    const client = await pool.connect()
    expect(setting.proxy.counters.roundTrips - before).toBe(1)
    client.release()
  })

  test.each([
    ['extended', (pool: pg.Pool) => pool.query(INSERT, ['ended-extended'])],
    ['named', (pool: pg.Pool) => pool.query({ name: 'put', text: INSERT, values: ['ended-named'] })],
    ['simple', (pool: pg.Pool) => pool.query(`INSERT INTO ledger VALUES ('ended-simple')`)],
  ])('whose backend is ended before it began (57P01, %s) is sent again', async (protocol, insert) => {
    const token = `ended-${protocol}`
    const locker = new pg.Client(setting.server.url)
    await locker.connect()
    await locker.query('BEGIN; LOCK TABLE ledger')
    /** The statement holds still in front of the lock, and its backend is ended there. */
    const endAtWork = async (pool: pg.Pool): Promise<{ running: Promise<unknown> }> => {
      const running = insert(pool)
      running.catch(() => {})
      const [pid] = await activeBackends(setting.server, 1, 'INSERT INTO ledger')
      await setting.server.query('SELECT pg_terminate_backend($1)', [pid])
      // It says so before it is gone: the next one must not be taken for it.
      await until(
        'it is gone',
        async () => (await setting.server.query('SELECT FROM pg_stat_activity WHERE pid = $1', [pid])).rowCount === 0,
      )
      return { running }
    }
    const stock = setting.plain()
    expect((await failure((await endAtWork(stock)).running)).code).toBe('57P01')

    const pool = setting.thaw()
    const { running } = await endAtWork(pool)
    await until('it is sent again', () => setting.events.some(({ type }) => type === 'outcome'))
    await locker.query('ROLLBACK')
    await locker.end()
    await running
    expect(await setting.rows(token)).toBe(1)
    expect(setting.outcomes()).toContainEqual(
      expect.objectContaining({ outcome: 'not-executed', reason: 'ended-before-start', action: 'retried' }),
    )
  })
})
