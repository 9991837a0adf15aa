/** pg's `rows`: so many at a time, and an error in one of the portions. pg sends no Sync behind it. */

import stock from 'pg'
import { describe, expect, test } from 'vitest'
import { server, useOneServer } from '../test/one-server.ts'
import { Pool } from './index.ts'

useOneServer()

const FAILING: [string, stock.QueryConfig][] = [
  ['in the first portion', { text: 'select 1 / (n - 1) from generate_series($1::int, 9) n', values: [1] }],
  ['in the third', { text: 'select 1 / (3 - n) from generate_series($1::int, 9) n', values: [1] }],
  ['in a value', { text: 'select $1::int', values: ['x'] }],
  ['in the text', { text: 'selec $1', values: [1] }],
  ['in one with a name', { name: 'mine', text: 'select 1 / (n - 1) from generate_series($1::int, 9) n', values: [1] }],
]

describe.each(FAILING)('an error %s', (_, statement) => {
  const portions = { ...statement, rows: 1 }

  test.each([{ keepOnSqlError: true }, { keepOnSqlError: false }, { share: true, keepOnSqlError: true }])(
    'with %o is told at once, and the next statement is answered',
    async (config) => {
      const pool = new Pool({ connectionString: server.url, max: 1, ...config })
      await pool.query('select 1')
      const others = [pool.query(portions), pool.query('select 2 as n'), pool.query(portions), pool.query('select 3 as n')]
      const answers = await Promise.allSettled(others)
      expect(answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.rows[0].n : answer.reason.constructor))).toEqual([
        stock.DatabaseError,
        2,
        stock.DatabaseError,
        3,
      ])
      expect(pool.stats().connected).toBe(config.keepOnSqlError ? 1 : 3)
      await pool.end()
    },
  )

  test('on a client leaves it usable, also inside a transaction', async () => {
    const pool = new Pool({ connectionString: server.url, max: 1 })
    const client = await pool.connect()
    for (let turn = 0; turn < 2; turn++) {
      await client.query('begin')
      await expect(client.query(portions)).rejects.toThrow(stock.DatabaseError)
      await client.query('rollback')
      expect((await client.query('select 4 as n')).rows).toEqual([{ n: 4 }])
    }
    client.release()
    await expect(pool.transaction((inner) => inner.query(portions))).rejects.toThrow(stock.DatabaseError)
    expect((await pool.query('select 5 as n')).rows).toEqual([{ n: 5 }])
    await pool.end()
  })
})

test('an error behind the last portion, when pg has sent its Sync, ends no connection', async () => {
  await server.query(`create table parents (id int primary key);
    create table children (parent int references parents deferrable initially deferred)`)
  const pool = new Pool({ connectionString: server.url, max: 1, keepOnSqlError: true })
  const insert = { text: 'insert into children values ($1) returning parent', values: [7], rows: 5 }
  for (let turn = 0; turn < 2; turn++) await expect(pool.query(insert)).rejects.toMatchObject({ code: '23503' })
  expect((await pool.query('select 6 as n')).rows).toEqual([{ n: 6 }])
  expect(pool.stats().connected).toBe(1)
  await pool.end()
})

test('in a transaction and in a batch, all rows are answered', async () => {
  const pool = new Pool({ connectionString: server.url, max: 1 })
  const portions = { text: 'select n from generate_series(1, $1::int) n', values: [5], rows: 2 }
  const inside = await pool.transaction(async (client) => [await client.query(portions), await client.query(portions)])
  const together = await pool.batch([portions, { text: 'select 1' }, portions])
  expect([...inside, ...together].map(({ rows }) => rows.length)).toEqual([5, 5, 5, 1, 5])
  expect(pool.stats().connected).toBe(1)
  await pool.end()
})

test('of all that is answered, nothing is lost', async () => {
  const pool = new Pool({ connectionString: server.url, max: 1, keepOnSqlError: true })
  const portions = { text: 'select n from generate_series(1, $1::int) n', rows: 2 }
  const answers = await Promise.all([0, 1, 2, 5, 6].map((count) => pool.query({ ...portions, values: [count] })))
  expect(answers.map(({ rows }) => rows.length)).toEqual([0, 1, 2, 5, 6])
  expect(pool.stats().connected).toBe(1)
  await pool.end()
})
