/**
 * A batch whose first statement commits by itself, whatever it is hidden behind.
 *
 * What breaks: PostgreSQL lets a statement that cannot be part of a transaction be the first of several that are sent together, and commits it at once; what comes behind may fail. By pg's own pipeline, and
 * by a batch that does not know such a statement, half of it is stored. Thaw refuses it before anything is sent.
 */

import type pg from 'pg'
import { beforeAll, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()
const FAILS = 'SELECT 1/0'

beforeAll(() => setting.server.query('CREATE TABLE seen (n int); CREATE PUBLICATION news'))

test.each([
  ['ALTER SYSTEM', "alter system set work_mem = '9MB'"],
  ['CREATE DATABASE', 'create/**/database other'],
  ['DROP DATABASE', 'drop -- it\n database none'],
  ['CREATE TABLESPACE', "create tablespace other location '/nowhere'"],
  ['DROP TABLESPACE', 'drop tablespace none'],
  ['ALTER DATABASE … SET TABLESPACE', 'alter database postgres set tablespace pg_default'],
  ['CREATE SUBSCRIPTION', "create subscription it connection 'dbname=none' publication news"],
  ['DROP SUBSCRIPTION', 'drop subscription none'],
  ['ALTER SUBSCRIPTION', 'alter subscription none refresh publication'],
  ['VACUUM, behind a comment in a comment', '/* /* */ */ vacuum seen'],
  ['COPY, behind a comment in a comment', '/* /* */ */ copy seen to stdout'],
])('%s', async (_name, first) => {
  const pool = setting.thaw()
  // From then on nothing of Thaw's own is in front.
  await pool.batch(['SELECT 1'])
  for (const work of [
    () => pool.batch([first, { text: INSERT, values: ['half'] }, FAILS]),
    () => pool.query({ text: first, once: true }),
    () => pool.query({ text: first, idempotencyKey: 'k' }),
  ])
    expect(await failure(work())).toMatchObject({ kind: 'option' })
  expect(await setting.rows('half')).toBe(0)
})

test('ALTER DATABASE and COMMENT that may be part of a transaction are sent', async () => {
  expect(await setting.thaw().batch(["alter database postgres set work_mem = '5MB'", "comment on table seen is 'so'"])).toHaveLength(2)
})

test('PostgreSQL itself commits it, though what was sent together with it fails', async () => {
  const client = await setting.plain().connect()
  const code = await new Promise((resolve) => {
    const ignored = () => {}
    client.query({
      submit(connection: pg.Connection) {
        for (const text of ["alter system set work_mem = '9MB'", FAILS]) {
          connection.parse({ text } as never, true)
          connection.bind({} as never, true)
          connection.execute({} as never, true)
        }
        connection.sync()
      },
      handleError: (error: pg.DatabaseError) => resolve(error.code),
      handleRowDescription: ignored,
      handleDataRow: ignored,
      handleCommandComplete: ignored,
      handleReadyForQuery: ignored,
    } as never)
  })
  client.release()
  expect(code).toBe('22012')
  const { rows } = await setting.server.query(
    "SELECT setting FROM pg_file_settings WHERE name = 'work_mem' AND sourcefile LIKE '%auto.conf'",
  )
  expect(rows).toEqual([{ setting: '9MB' }])
})
