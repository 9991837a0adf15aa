/** Several hosts with Sequelize. It reads URLs itself, and cannot read one of several hosts: as options it passes them on. */

import * as thaw from '@thaw/pg'
import { type PostgresServer, startPostgres } from '@thaw/testkit'
import { Sequelize } from 'sequelize'
import { afterAll, beforeAll, expect, test } from 'vitest'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())

test('as options they are passed on, in a URL they are not', async () => {
  const { host, port, user, password, database } = server
  expect(() => new Sequelize(`postgres://a:1,b:2/${database}`, { dialectModule: thaw })).toThrow('Invalid URL')
  // Nothing listens at the first. The type of `port` is a number.
  const ports = `1,${port}` as unknown as number
  const login = { username: user, password, database, dialectModule: thaw, logging: false } as const
  const db = new Sequelize({ dialect: 'postgres', host: `${host},${host}`, port: ports, ...login })
  expect(await db.query('SELECT 1 AS one', { plain: true })).toEqual({ one: 1 })
  await db.close()
})
