/**
 * COPY to the client, whose connection is lost midway.
 *
 * What breaks: plain `pg` says that the connection ended, and not what became of the statement. Thaw says whether it may be sent again: a COPY reads, unless
 * what it copies is a write.
 */

import { ConnectionLostError, OutcomeUnknownError } from '@thaw/pg'
import { terminateSessions } from '@thaw/testkit'
import type pg from 'pg'
import { to } from 'pg-copy-streams'
import { beforeAll, expect, test } from 'vitest'
import { failure, useSetting } from './setting.ts'

const setting = useSetting()

const APP = 'copy-out'
/** More than the sockets hold. */
const MANY = "SELECT repeat('x', 1000) AS x FROM generate_series(1, 30000)"

beforeAll(() => setting.server.query(`CREATE TABLE wide AS ${MANY}`))

test.each([
  ['a query', `(${MANY})`, ConnectionLostError, 'read'],
  ['a table', 'wide', ConnectionLostError, 'read'],
  ['a write', `(INSERT INTO wide ${MANY} RETURNING x)`, OutcomeUnknownError, 'write-in-flight'],
] as const)('of %s', async (_, what, kind, reason) => {
  const lose = async (pool: pg.Pool): Promise<Error> => {
    const client = await pool.connect()
    client.on('error', () => {})
    const copy = client.query(to(`COPY ${what} TO STDOUT`))
    const consume = async () => {
      let chunks = 0
      for await (const _chunk of copy) if (++chunks === 1) await terminateSessions(setting.server, APP)
    }
    const error = await failure(consume())
    client.release(true)
    return error
  }
  expect(await lose(setting.plain({ application_name: APP }))).not.toHaveProperty('reason')
  const error = await lose(setting.thaw({ application_name: APP }))
  expect(error).toBeInstanceOf(kind)
  expect(error).toMatchObject({ reason })
})
