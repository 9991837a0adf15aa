/**
 * Errors that bear the codes with which a server ends a session, and end nothing.
 *
 * What breaks: nothing. A function of the user's own raises 57P01, 57P05 or 25P03, as an ERROR: an answer like any other. A pool that takes it for the end of the
 * connection takes a statement for lost that was answered, and may send it again: a row twice. What comes next tells: ReadyForQuery, or the end.
 */

import { ThawError } from '@thaw/pg'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { beforeEach, describe, expect, test } from 'vitest'
import { failure, useSetting } from './setting.ts'

const setting = useSetting()
const CODES = ['57P01', '57P02', '57P05', '25P03', '25P04']

beforeEach(() => setting.server.query('TRUNCATE ledger'))

function raise(code: string, before = ''): string {
  return `DO $$BEGIN ${before} RAISE EXCEPTION 'own' USING ERRCODE = '${code}'; END$$`
}

describe.each(CODES)('%s, raised by a function', (code) => {
  test('passes as the error of the server, on a connection that lives', async () => {
    const client = await setting.thaw().connect()
    const error = await failure(client.query(raise(code)))
    expect(error).toBeInstanceOf(pg.DatabaseError)
    expect(error).toMatchObject({ code, message: 'own' })
    expect(ThawError.is(error)).toBe(false)
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    client.release()
  })

  test('after a COMMIT of its own: the row is there once', async () => {
    const pool = setting.thaw({ max: 1 })
    await pool.query('SELECT 1')
    const error = await failure(pool.query(raise(code, `INSERT INTO ledger VALUES ('${code}'); COMMIT;`)))
    expect(error).toMatchObject({ code, message: 'own' })
    expect(await setting.rows(code)).toBe(1)
    expect(setting.outcomes()).toEqual([])
    expect(pool.stats().generation).toBe(0)
  })

  test('inside a transaction: it can be rolled back to a savepoint', async () => {
    const client = await setting.thaw().connect()
    await client.query('BEGIN; SAVEPOINT before')
    expect(await failure(client.query(raise(code)))).toMatchObject({ code, message: 'own' })
    await client.query('ROLLBACK TO before')
    await client.query('INSERT INTO ledger VALUES ($1)', [`kept ${code}`])
    await client.query('COMMIT')
    client.release()
    expect(await setting.rows(`kept ${code}`)).toBe(1)
  })
})

test('in pipeline mode: the statements behind it are answered', async () => {
  const client = await setting.thaw().connect()
  ;(client as unknown as { pipeline: boolean }).pipeline = true
  const calls = [client.query('SELECT 1 AS one'), failure(client.query(raise('57P05'))), client.query('SELECT 2 AS two')] as const
  const [one, error, two] = await Promise.all(calls)
  expect([one.rows, two.rows]).toEqual([[{ one: 1 }], [{ two: 2 }]])
  expect(error).toMatchObject({ code: '57P05', message: 'own' })
  client.release(true)
})

test('a session that is really ended in pipeline mode: what is known of none of them is unknown', async () => {
  const client = await setting.thaw().connect()
  client.on('error', () => {})
  // What was so at the last statement outside of the pipeline says nothing about these.
  await client.query('BEGIN')
  ;(client as unknown as { pipeline: boolean }).pipeline = true
  const writes = [
    failure(client.query('COMMIT')),
    failure(client.query(`INSERT INTO ledger VALUES ('a')`)),
    failure(client.query(`INSERT INTO ledger SELECT 'b' FROM pg_sleep(0.2)`)),
    failure(client.query('SELECT pg_terminate_backend(pg_backend_pid())')),
    failure(client.query(`INSERT INTO ledger VALUES ('c')`)),
  ]
  const lost = setting.proxy.loseNextAnswer({ containing: 'INSERT' })
  const errors = await Promise.all(writes)
  await lost.struck
  expect(errors.map((error) => (error as { outcome?: string }).outcome)).not.toContain('not-executed')
  client.release(true)
})

test('a cursor, which waits for us after an error: is told at once, and its connection lives', async () => {
  await setting.server.query(
    `CREATE OR REPLACE FUNCTION own() RETURNS int LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION 'own' USING ERRCODE = '57P05'; END$$`,
  )
  const client = await setting.thaw({ max: 1 }).connect()
  client.on('error', () => {})
  const cursor = client.query(new Cursor('SELECT own() FROM generate_series(1, 10)'))
  const error = await failure(cursor.read(5))
  expect(error).toMatchObject({ code: '57P05', message: 'own' })
  expect(ThawError.is(error)).toBe(false)
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  client.release()
})
