import { afterAll, beforeAll, expect, test } from 'vitest'
import { failureOf } from '../fixtures/plain-client.ts'
import { type PostgresServer, startPostgres } from './postgres.ts'

let primary: PostgresServer
beforeAll(async () => {
  primary = await startPostgres({ settings: { max_connections: 20 } })
  await primary.query('CREATE TABLE before AS SELECT 1 AS one')
})
afterAll(() => primary.close())

test('a standby follows, refuses writes, outlives its primary, and becomes one', async () => {
  await using standby = await primary.startStandby()
  expect(standby.port).not.toBe(primary.port)
  await primary.query('CREATE TABLE after AS SELECT 2 AS two')
  await standby.catchUp()
  const { rows } = await standby.query('SELECT one, two, pg_is_in_recovery() AS follows FROM before, after')
  expect(rows).toEqual([{ one: 1, two: 2, follows: true }])
  expect(await failureOf(standby.query('CREATE TABLE refused (one int)'))).toBe('25006')

  await primary.stop('immediate')
  expect((await standby.query('SELECT two FROM after')).rows).toEqual([{ two: 2 }])
  await standby.promote()
  await standby.query('CREATE TABLE own (one int)')
  await standby.restart('fast')
  expect((await standby.query('SELECT pg_is_in_recovery() AS follows FROM own RIGHT JOIN before ON true')).rows).toEqual([
    { follows: false },
  ])
})
