/**
 * Transactions by hand that lose their connection, or their end.
 *
 * What breaks: the network before, at and after COMMIT; the transaction itself. With plain `pg` the user sees the same `ECONNRESET` whether
 * everything was rolled back or everything was stored, and a COMMIT that stored nothing looks like any other. With Thaw the error says which.
 */

import { CommitRolledBackError, ConnectionLostError, OutcomeUnknownError, ReplicationUnconfirmedError } from '@thaw/pg'
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import { activeBackends, failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()

/** BEGIN, one write, and `last`, of which the answer is lost. */
async function loseLast(pool: pg.Pool, token: string, last: string): Promise<Error & { code?: string }> {
  const client = await pool.connect()
  client.on('error', () => {})
  await client.query('BEGIN')
  await client.query(INSERT, [token])
  const lost = setting.proxy.loseNextAnswer({ containing: last })
  const error = await failure(client.query(last))
  await lost.struck
  client.release(error)
  return error
}

describe('a transaction by hand whose connection is lost', () => {
  test('before COMMIT was sent is rolled back for certain, and the error says so', async () => {
    expect(await loseLast(setting.plain(), 'stock-early', 'SELECT 7')).not.toHaveProperty('outcome')
    const error = await loseLast(setting.thaw(), 'early', 'SELECT 7')
    expect(error).toBeInstanceOf(ConnectionLostError)
    expect(error).toMatchObject({ outcome: 'not-executed', reason: 'transaction-rolled-back', code: 'ECONNRESET', retryable: true })
    expect(await setting.rows('early')).toBe(0)
  })

  test('at COMMIT is unknown, for it may be stored', async () => {
    expect((await loseLast(setting.plain(), 'stock-late', 'COMMIT')).code).toBe('ECONNRESET')
    const error = await loseLast(setting.thaw(), 'late', 'COMMIT')
    expect(error).toBeInstanceOf(OutcomeUnknownError)
    expect(error).toMatchObject({ reason: 'commit-in-flight', code: '08007', evidence: { statement: 'transaction', inTransaction: true } })
    expect(await setting.rows('late')).toBe(1)
  })

  test('at ROLLBACK is rolled back for certain', async () => {
    expect(await loseLast(setting.thaw(), 'never', 'ROLLBACK')).toMatchObject({ outcome: 'not-executed' })
    expect(await setting.rows('never')).toBe(0)
  })

  test('at several statements in one text is unknown, for COMMIT may be among them', async () => {
    const error = await loseLast(setting.thaw(), 'several', 'COMMIT; SELECT 1')
    expect(error).toBeInstanceOf(OutcomeUnknownError)
    expect(await setting.rows('several')).toBe(1)
  })

  test('by idle_in_transaction_session_timeout (25P03) is rolled back', async () => {
    const client = await setting.thaw({ trustMillis: 60_000 }).connect()
    await client.query('BEGIN')
    await client.query(INSERT, ['too-slow'])
    const ended = new Promise((resolve) => client.once('end', resolve))
    await client.query("SET idle_in_transaction_session_timeout = '50ms'")
    await ended
    const error = await failure(client.query('COMMIT'))
    client.release(error)
    // What plain pg says, with why.
    const message =
      /^Client has encountered a connection error and is not queryable \(terminating connection due to idle-in-transaction timeout\)/
    expect(error).toMatchObject({
      kind: 'connection-lost',
      outcome: 'not-executed',
      code: '25P03',
      message: expect.stringMatching(message),
    })
    expect(error.cause).toMatchObject({ cause: { code: '25P03', severity: 'FATAL' } })
    expect(await setting.rows('too-slow')).toBe(0)
  })

  test('by idle_in_transaction_session_timeout in pool.transaction() says why, too', async () => {
    const work = setting.thaw().transaction(
      async (client) => {
        const ended = new Promise((resolve) => client.once('end', resolve))
        await client.query(INSERT, ['too-slow'])
        await client.query("SET LOCAL idle_in_transaction_session_timeout = '50ms'")
        await ended
        await client.query(INSERT, ['too-slow'])
      },
      { retries: 0 },
    )
    expect(await failure(work)).toMatchObject({ kind: 'connection-lost', outcome: 'not-executed', code: '25P03' })
    expect(await setting.rows('too-slow')).toBe(0)
  })
})

describe('COMMIT', () => {
  test('answered with ROLLBACK is an error: nothing was stored', async () => {
    const commitAfterFailure = async (pool: pg.Pool, token: string) => {
      const client = await pool.connect()
      try {
        await client.query('BEGIN')
        await client.query(INSERT, [token])
        await client.query('SELECT 1/0').catch(() => {})
        return await client.query('COMMIT')
      } finally {
        client.release()
      }
    }
    // Plain pg reports success.
    expect((await commitAfterFailure(setting.plain(), 'stock-failed')).command).toBe('ROLLBACK')
    const pool = setting.thaw()
    expect(await failure(commitAfterFailure(pool, 'failed'))).toBeInstanceOf(CommitRolledBackError)
    expect(await setting.rows('failed')).toBe(0)
    // An ordinary end of a failed transaction: the connection stays.
    expect(pool.idleCount).toBe(1)
  })

  test('ROLLBACK answered with ROLLBACK is none', async () => {
    const client = await setting.thaw().connect()
    await client.query('BEGIN')
    await client.query('SELECT 1/0').catch(() => {})
    expect((await client.query('ROLLBACK')).command).toBe('ROLLBACK')
    client.release()
  })

  test.each([
    [
      'of a transaction by hand',
      async (client: pg.PoolClient, token: string) => {
        await client.query('BEGIN')
        await client.query(INSERT, [token])
        await client.query('COMMIT')
      },
    ],
    [
      'of a single statement',
      async (client: pg.PoolClient, token: string) => {
        await client.query(INSERT, [token])
      },
    ],
  ])('%s that waits for a replica when its backend is ended is done, and its error says so', async (how, work) => {
    const write = async (pool: pg.Pool, token: string): Promise<Error & { code?: string }> => {
      const client = await pool.connect()
      client.on('error', () => {})
      const failed = failure(work(client, token))
      const [pid] = await activeBackends(setting.server, 1)
      await setting.server.query('SELECT pg_terminate_backend($1)', [pid])
      const error = await failed
      client.release(error)
      return error
    }
    await setting.server.query('ALTER SYSTEM SET synchronous_standby_names = $$nobody$$')
    await setting.server.query('SELECT pg_reload_conf()')
    try {
      expect((await write(setting.plain(), `stock ${how}`)).message).toBe('Connection terminated unexpectedly')
      const error = await write(setting.thaw(), how)
      expect(error).toBeInstanceOf(ReplicationUnconfirmedError)
      expect(error).toMatchObject({ outcome: 'executed', retryable: false })
      expect(error).not.toHaveProperty('code')
      expect(await setting.rows(how)).toBe(1)
    } finally {
      await setting.server.query('ALTER SYSTEM RESET synchronous_standby_names')
      await setting.server.query('SELECT pg_reload_conf()')
    }
  })
})

describe('a server that is stopped as in a crash', () => {
  // It warns with 57P01 as well, but that is no word of success.
  test('under a write: its outcome is unknown', async () => {
    const client = await setting.thaw().connect()
    const failed = failure(client.query("INSERT INTO ledger SELECT 'crashed' FROM pg_sleep(60)"))
    await activeBackends(setting.server, 1, 'pg_sleep')
    await setting.server.restart('immediate')
    const error = await failed
    client.release(error)
    expect(error).toBeInstanceOf(OutcomeUnknownError)
    expect(await setting.rows('crashed')).toBe(0)
  })

  test('in a transaction before its end was sent: rolled back', async () => {
    const client = await setting.thaw().connect()
    await client.query('BEGIN')
    const failed = failure(client.query("INSERT INTO ledger SELECT 'half' FROM pg_sleep(60)"))
    await activeBackends(setting.server, 1, 'pg_sleep')
    await setting.server.restart('immediate')
    const error = await failed
    client.release(error)
    expect(error).toMatchObject({ kind: 'connection-lost', outcome: 'not-executed' })
    expect(await setting.rows('half')).toBe(0)
  })
})
