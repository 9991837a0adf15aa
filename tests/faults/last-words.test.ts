/**
 * Errors that end the connection they come on, whatever code they have.
 *
 * What breaks: a pooler or a proxy loses its server under a statement, says so with a message and a code of its own (08P01, XX000, 58000), and closes the connection. With plain
 * `pg` the caller sees an error of the database, as if the statement had been answered: for a write that is stored, and for one that is not. The next
 * message tells: ReadyForQuery, and the error was the answer; or the end, and the error ended the session. The ledger shows what really happened.
 */

import { ConnectionLostError, OutcomeUnknownError, type Pool, ThawError } from '@thaw/pg'
import pg from 'pg'
import { describe, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()

const WORDS = [
  { code: '08P01', message: 'server conn crashed?' },
  { code: '08P01', message: 'query_wait_timeout' },
  { code: 'XX000', message: 'DbHandler exited' },
  { code: '58000', message: 'Error reading message code from socket' },
  { code: '42P05', message: 'a text of no meaning', severity: 'ВАЖНО' },
  { code: '08006', message: 'remote server read/write error', severity: 'ERROR' },
  { code: 'XX000', message: 'internal', severity: 'ERROR' },
] as const

async function warm(pool: Pool): Promise<Pool> {
  await pool.query('SELECT 1')
  return pool
}

describe.each(WORDS)('$code $message', (errorResponse) => {
  test('a write that is stored: pg tells of an answer, Thaw that nothing is known', async () => {
    const stock = setting.plain()
    await stock.query('SELECT 1')
    setting.proxy.loseNextAnswer({ containing: 'INSERT', errorResponse })
    const answer = await failure(stock.query(INSERT, [`pg ${errorResponse.message}`]))
    expect([answer.code, await setting.rows(`pg ${errorResponse.message}`)]).toEqual([errorResponse.code, 1])

    const pool = await warm(setting.thaw())
    setting.proxy.loseNextAnswer({ containing: 'INSERT', errorResponse })
    const error = await failure(pool.query(INSERT, [errorResponse.message]))
    expect(error).toBeInstanceOf(OutcomeUnknownError)
    expect(error).toMatchObject({ reason: 'write-in-flight', evidence: { fatalSqlstate: errorResponse.code }, cause: errorResponse })
    expect(await setting.rows(errorResponse.message)).toBe(1)
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })

  test('a write that was not executed is unknown too: a pooler proves nothing', async () => {
    const pool = await warm(setting.thaw())
    setting.proxy.loseNextRequest({ containing: 'INSERT', errorResponse })
    expect(await failure(pool.query(INSERT, ['never']))).toBeInstanceOf(OutcomeUnknownError)
    expect(await setting.rows('never')).toBe(0)
  })

  test('a read is sent again', async () => {
    const pool = await warm(setting.thaw())
    const lost = setting.proxy.loseNextRequest({ containing: 'version', errorResponse })
    expect((await pool.query('SELECT version() AS v')).rows[0].v).toMatch(/^PostgreSQL/)
    await lost.struck
    expect(setting.outcomes()).toMatchObject([{ reason: 'read', action: 'retried', code: errorResponse.code }])
  })

  test('on a client: a statement inside a transaction is rolled back, its end is unknown', async () => {
    const pool = setting.thaw()
    const first = await pool.connect()
    await first.query('BEGIN')
    setting.proxy.loseNextAnswer({ containing: 'INSERT', errorResponse })
    const error = await failure(first.query(INSERT, ['inside']))
    expect(error).toBeInstanceOf(ConnectionLostError)
    expect(error).toMatchObject({ reason: 'transaction-rolled-back', code: errorResponse.code })
    first.release()
    const second = await pool.connect()
    await second.query('BEGIN')
    setting.proxy.loseNextAnswer({ containing: 'COMMIT', errorResponse })
    expect(await failure(second.query('COMMIT'))).toMatchObject({ kind: 'outcome-unknown', reason: 'commit-in-flight' })
    second.release()
    expect(await setting.rows('inside')).toBe(0)
  })
})

test('an ERROR with any code that is followed by the end: where a pool keeps the connection, it waits for what follows', async () => {
  const errorResponse = { severity: 'ERROR', code: '42P01', message: 'lost' }
  const pool = await warm(setting.thaw({ keepOnSqlError: true }))
  setting.proxy.loseNextAnswer({ containing: 'INSERT', errorResponse })
  expect(await failure(pool.query(INSERT, ['error']))).toBeInstanceOf(OutcomeUnknownError)
  setting.proxy.loseNextRequest({ containing: 'version', errorResponse })
  expect((await pool.query('SELECT version() AS v')).rows[0].v).toMatch(/^PostgreSQL/)
})

test('two last words: the first one counts', async () => {
  const pool = await warm(setting.thaw())
  const client = await pool.connect()
  const message = { code: '57P01', severity: 'FATAL' }
  const busy = failure(client.query(`INSERT INTO ledger SELECT 'two' FROM pg_sleep(0.2)`))
  const { connection } = client as unknown as { connection: pg.Connection }
  for (const text of ['first', 'second']) connection.emit('errorMessage', Object.assign(new pg.DatabaseError(text, 1, 'error'), message))
  setting.proxy.cut('fin')
  expect(await busy).toMatchObject({ kind: 'outcome-unknown', cause: { message: 'first' } })
  client.release()
})

test('a FATAL behind which the server is ready was an answer', async () => {
  // PgCat says so of a statement that it refuses.
  const pool = setting.thaw({ max: 1 })
  const client = await pool.connect()
  const { connection } = client as unknown as { connection: pg.Connection }
  const refusal = Object.assign(new pg.DatabaseError('refused', 1, 'error'), { code: '58000', severity: 'FATAL' })
  const busy = failure(client.query('SELECT FROM pg_sleep(0.05)'))
  connection.emit('errorMessage', refusal)
  expect(await busy).toBe(refusal)
  expect(ThawError.is(refusal)).toBe(false)
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  client.release()
})
