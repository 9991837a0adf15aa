/** Statements that are prepared by themselves, on real PostgreSQL. */

import { OptionError, type ThawEvent } from '@thaw/core'
import { startPooler } from '@thaw/testkit'
import stock from 'pg'
import { beforeEach, describe, expect, test } from 'vitest'
import { createPool, PATIENCE, pool, proxy, sentSince, server, TEN, useSharingWorld } from '../test/sharing-world.ts'
import { Pool, type PoolConfig } from './index.ts'

useSharingWorld()
beforeEach(() => server.query('drop table if exists prepared; create table prepared as select n from generate_series(1, 3) n'))

const SELECT = 'select * from prepared where n = $1'
const create = (config: object = {}) => createPool({ prepare: 2, share: false, hedge: false, ...config } as PoolConfig)
const rows = async (text = SELECT, values: unknown[] = [1]) => (await pool.query(text, values)).rows
const parses = (text = SELECT) => sentSince(0).join('').split(`\0${text}\0`).length - 1
/** On the one connection. */
const names = async (): Promise<string[]> =>
  (await pool.query('select name from pg_prepared_statements order by prepare_time')).rows.map(({ name }) => name)
const repeat = async (times: number) => {
  for (let turn = 0; turn < times; turn++) expect(await rows()).toMatchObject([{ n: 1 }])
}

test('after so many uses it is parsed once more, under a name, and never again', async () => {
  create()
  await repeat(10)
  expect(parses()).toBe(3)
  expect(await names()).toEqual([expect.stringMatching(/^thaw_[0-9a-f]{20}_1$/)])
})

test('off by default', async () => {
  create({ prepare: undefined })
  await repeat(10)
  expect(parses()).toBe(10)
})

test("a statement without values, or with a name of its caller's, or another text, is left alone", async () => {
  create()
  for (const _ of TEN) {
    await pool.query('select 1')
    await pool.query({ name: 'mine', text: 'select $1::int as n', values: [1] })
  }
  await repeat(2)
  await rows(`${SELECT} `)
  expect(await names()).toEqual(['mine'])
})

test('rowMode and types of one call are its own', async () => {
  create()
  await repeat(4)
  const types = { getTypeParser: () => () => 'own' } as never
  expect((await pool.query({ text: SELECT, values: [2], rowMode: 'array' })).rows).toEqual([[2]])
  expect((await pool.query({ text: SELECT, values: [2], types })).rows).toEqual([{ n: 'own' }])
  expect(parses()).toBe(3)
})

test('values that the caller changes afterwards are not sent', async () => {
  create()
  await repeat(4)
  await pool.query('deallocate all')
  const values = [2]
  const answer = pool.query(SELECT, values)
  values[0] = 3
  expect((await answer).rows).toEqual([{ n: 2 }])
})

describe('healed, on the same connection', () => {
  const heals: [string, string, object][] = [
    ['a result type that has changed', 'alter table prepared add column more int default 7', { n: 1, more: 7 }],
    ['DEALLOCATE ALL', 'deallocate all', { n: 1 }],
    ['DISCARD ALL', 'discard all', { n: 1 }],
  ]
  test.each(heals)('%s', async (_, statement, row) => {
    create()
    await repeat(4)
    await pool.query(statement)
    for (const _ of TEN) expect(await rows()).toEqual([row])
    expect(await names()).toHaveLength(1)
    expect(pool.stats()).toMatchObject({ connected: 1, total: 1 })
    // Two to count, one with a name; then one without, and one with it again.
    expect(parses()).toBe(5)
  })

  describe.each([
    ['alone', { share: false }],
    ['alone, with keepOnSqlError', { share: false, keepOnSqlError: true }],
    ['shared', { share: true }],
  ])('types of parameters that have changed, %s', (_, config) => {
    test.each([
      ['a wider one', 1, 'alter table prepared alter n type bigint', 3_000_000_000],
      ['another one', 1, 'alter table prepared alter n type text', 'one'],
      [
        'one that was created anew',
        1,
        "drop type if exists mood; create type mood as enum ('calm'); drop table prepared; create table prepared (n mood)",
        'calm',
      ],
    ])('%s', async (_, before, change, after) => {
      create(config)
      const insert = 'insert into prepared values ($1)'
      for (const _ of [1, 2, 3, 4]) {
        await Promise.all([1, 2].map(() => rows(SELECT, [before])))
        await rows(insert, [before])
      }
      await server.query(change)
      await rows(insert, [after])
      const answers = await Promise.all([1, 2, 3, 4].map(() => rows(SELECT, [after])))
      expect(answers).toEqual([1, 2, 3, 4].map(() => [{ n: String(after) }]))
      expect(pool.stats()).toMatchObject({ connected: 1, total: 1 })
      await server.query('drop table prepared')
    })
  })

  test("shared, a value that is wrong under any name is its caller's error, and costs no connection", async () => {
    create({ share: true })
    await repeat(4)
    const answers = await Promise.allSettled([1, 'one', 2, 'two', 3, 'three'].map((value) => rows(SELECT, [value])))
    const told = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value[0].n : answer.reason.code))
    expect(told).toEqual([1, '22P02', 2, '22P02', 3, '22P02'])
    expect(pool.stats()).toMatchObject({ connected: 1, total: 1 })
  })

  test("a value that is wrong under any name is its caller's error", async () => {
    create({ keepOnSqlError: true })
    await repeat(4)
    for (const _ of [1, 2, 3]) await expect(rows(SELECT, ['one'])).rejects.toMatchObject({ code: '22P02' })
    await repeat(1)
    expect(await names()).toHaveLength(1)
  })

  test('a write is done once', async () => {
    create()
    const insert = 'insert into prepared values ($1) returning *'
    for (const n of [11, 12, 13]) await rows(insert, [n])
    await pool.query('deallocate all')
    await rows(insert, [14])
    await pool.query('alter table prepared add column more int')
    await rows(insert, [15])
    expect((await pool.query('select n from prepared where n > 10 order by n')).rows.map(({ n }) => n)).toEqual([11, 12, 13, 14, 15])
  })

  test('a search_path that has changed is another table', async () => {
    create({ max: 1 })
    await server.query('drop schema if exists other cascade; create schema other; create table other.prepared as select 1 as n, 5 as m')
    await repeat(4)
    await pool.query('set search_path = other')
    expect(await rows()).toEqual([{ n: 1, m: 5 }])
    expect(await rows()).toEqual([{ n: 1, m: 5 }])
  })

  test('many that share the connection', async () => {
    create({ share: true })
    await repeat(4)
    await pool.query('deallocate all')
    const answers = await Promise.all(TEN.map((n) => rows(SELECT, [(n % 3) + 1])))
    expect(answers).toEqual(TEN.map((n) => [{ n: (n % 3) + 1 }]))
    await repeat(3)
    expect(pool.stats()).toMatchObject({ connected: 1, total: 1 })
  })
})

test("an error inside a function is the caller's, whatever its code", async () => {
  create()
  await server.query(`create or replace function fails(n int) returns int language plpgsql as $$ begin
    if n > 0 then raise exception 'mine' using errcode = '26000'; end if; return n; end $$`)
  for (const _ of TEN) await rows('select fails($1)', [0])
  await expect(rows('select fails($1)', [1])).rejects.toMatchObject({ code: '26000', message: 'mine' })
})

test('at most 100 have a name, on the connection too', PATIENCE, async () => {
  create({ prepare: 1 })
  for (let index = 0; index < 120; index++) for (let turn = 0; turn < 2; turn++) await rows(`select $1::int as n${index}`)
  const left = await names()
  expect(left).toHaveLength(100)
  expect(left.at(-1)).toMatch(/_120$/)
})

test('at most 100 also of those that lost their name while they waited', PATIENCE, async () => {
  create({ prepare: 1 })
  for (let turn = 0; turn < 3; turn++) await Promise.all(Array.from({ length: 150 }, (_, index) => rows(`select $1::int as n${index}`)))
  expect((await names()).length).toBeLessThanOrEqual(100)
})

test('a Client class that adds to the text each time: as without the option', async () => {
  let added = 0
  class Commenting extends stock.Client {
    override query(config: unknown, ...others: unknown[]): never {
      const form = typeof config === 'object' ? { ...config, text: `${(config as { text: string }).text} --${++added}` } : config
      return super.query(form as never, ...(others as [])) as never
    }
  }
  create({ Client: Commenting })
  await repeat(10)
  expect(pool.stats()).toMatchObject({ connected: 1, total: 1 })
})

test('transactions, and statements with once, have no name', async () => {
  create()
  const { rows: found } = await pool.transaction(async (tx) => {
    for (const _ of TEN) await tx.query(SELECT, [1])
    return tx.query('select name from pg_prepared_statements')
  })
  expect(found).toEqual([])
  for (const n of TEN) await pool.query({ text: 'insert into prepared values ($1)', values: [n], once: true } as never)
  expect(await names()).toEqual([])
})

test('a connection that is lost: the next one parses it again', async () => {
  create()
  await repeat(4)
  proxy.cut('rst')
  await expect.poll(() => pool.totalCount).toBe(0)
  await repeat(4)
  expect(pool.stats().connected).toBe(2)
})

test('behind a pooler, every statement is answered', PATIENCE, async () => {
  await using pooler = await startPooler(server)
  create({ max: 3, connectionString: pooler.urlFor(server.url) })
  for (let turn = 0; turn < 5; turn++) {
    const answers = await Promise.all(TEN.map((n) => rows(SELECT, [(n % 3) + 1])))
    expect(answers).toEqual(TEN.map((n) => [{ n: (n % 3) + 1 }]))
  }
  await pool.end()
})

test('behind a pooler that was detected, nothing has a name', PATIENCE, async () => {
  await using pooler = await startPooler(server)
  create({ max: 1, share: 'auto', connectionString: pooler.urlFor(server.url) })
  // Two at once would like to share, and ask what is at the other end.
  await Promise.all([pool.query('select 1'), pool.query('select 2'), pool.query('select 3')])
  await Promise.all([pool.query('select 1'), pool.query('select 2'), pool.query('select 3')])
  await repeat(10)
  expect(await names()).toEqual([])
  await pool.end()
})

describe('that it stops is told, once', () => {
  const stops = () => {
    const told: ThawEvent[] = []
    pool.subscribe((event) => void (event.type === 'prepareStopped' && told.push(event)))
    return told
  }

  test('a pooler was detected', PATIENCE, async () => {
    await using pooler = await startPooler(server)
    create({ max: 1, share: 'auto', connectionString: pooler.urlFor(server.url) })
    const told = stops()
    await repeat(4)
    expect(told).toEqual([])
    await Promise.all([pool.query('select 1'), pool.query('select 2'), pool.query('select 3')])
    await repeat(4)
    expect(told).toEqual([{ type: 'prepareStopped', reason: 'pooler' }])
    expect(pool.stats().prepareStopped).toBe(1)
    await pool.end()
  })

  test('the server keeps losing what was prepared', async () => {
    create()
    const told = stops()
    for (let turn = 0; turn < 12; turn++) {
      await repeat(3)
      await pool.query('deallocate all')
    }
    await repeat(3)
    expect(told).toEqual([{ type: 'prepareStopped', reason: 'names-lost' }])
  })

  test('not where PostgreSQL itself is at the other end', async () => {
    create({ share: 'auto' })
    const told = stops()
    await Promise.all(TEN.map((n) => pool.query('select $1::int as n', [n])))
    for (let turn = 0; turn < 12; turn++) {
      await repeat(3)
      await pool.query('deallocate all')
    }
    await repeat(3)
    expect(told).toEqual([])
    expect(await names()).toHaveLength(1)
  })
})

test.each([0, -1, 1.5, 'five', true])('prepare: %s is refused', (prepare) => {
  create()
  expect(() => new Pool({ prepare } as never)).toThrow(OptionError)
  expect(() => new Pool({ prepare } as never)).toThrow('Option "prepare" is')
})
