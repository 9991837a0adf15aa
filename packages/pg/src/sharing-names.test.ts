/** Named statements that the server does not know any more, or not as they were, on connections that stay after an error. */

import { beforeEach, describe, expect, test } from 'vitest'
import { createPool, PATIENCE, pool, server, TEN, useSharingWorld } from '../test/sharing-world.ts'

useSharingWorld()
beforeEach(() => server.query('drop table if exists named; create table named as select 1 as n'))

const ask = (value: unknown = 1) => pool.query({ name: 'mine', text: 'select * from named where n = $1', values: [value] })
const outcomes = async (value?: unknown) =>
  (await Promise.allSettled(TEN.map(() => ask(value)))).map((answer) => (answer.status === 'fulfilled' ? 'ok' : answer.reason.code))

describe("a name of the user's is wrong: the reads under way are told, and the next ones are answered, as by pg.Pool", () => {
  const changes: [string, string, unknown, string][] = [
    ['a result type that has changed', 'alter table named add column m int', 1, '0A000'],
    ['a parameter that has become wider', 'alter table named alter n type bigint', 3_000_000_000, '22003'],
    ['a parameter of another type', 'alter table named alter n type text', 'one', '22P02'],
  ]
  test.each([true, 'auto'] as const)('share: %s', PATIENCE, async (share) => {
    createPool({ hedge: false, share })
    for (const [, change, value, code] of changes) {
      await server.query('drop table named; create table named as select 1 as n')
      // Those that were told of the last change have made it known.
      await outcomes()
      expect(await outcomes()).toEqual(TEN.map(() => 'ok'))
      await server.query(change)
      expect(await outcomes(value)).toContain(code)
      expect(await outcomes(value)).toEqual(TEN.map(() => 'ok'))
      expect(await outcomes(value)).toEqual(TEN.map(() => 'ok'))
    }
    expect(pool.totalCount).toBe(1)
  })

  test('keepOnSqlError: alone, too', async () => {
    createPool({ keepOnSqlError: true, share: false, hedge: false })
    await ask()
    await server.query('alter table named add column m int')
    await expect(ask()).rejects.toMatchObject({ code: '0A000' })
    for (const _ of TEN) expect((await ask()).rows).toEqual([{ n: 1, m: null }])
  })
})

describe('one connection, one that is told, as with pg.Pool: those behind it, under the same name, are sent again', () => {
  const other = (value: number) => pool.query('select $1::int as n', [value])
  /** `among others`: each has a Sync of its own. */
  const ways: [string, () => Promise<unknown>[]][] = [
    ['alike', () => TEN.map(() => ask())],
    ['among others', () => TEN.flatMap((n) => [ask(), other(n)])],
  ]
  test.each(ways)('%s', PATIENCE, async (_, all) => {
    createPool({ hedge: false })
    for (let turn = 0; turn < 3; turn++) await Promise.all(all())
    await server.query('alter table named add column m int')
    const answers = await Promise.allSettled(all())
    const refused = answers.filter(({ status }) => status === 'rejected')
    expect(refused).toMatchObject([{ reason: { code: '0A000' } }])
    expect(pool.stats()).toMatchObject({ connected: 1, total: 1 })
  })

  test('a value that is wrong under any name is told to the caller that gave it', PATIENCE, async () => {
    createPool({ hedge: false })
    for (let turn = 0; turn < 3; turn++) await outcomes()
    const values = [1, 'no number', 1, 'none either', 1]
    const answers = await Promise.allSettled(values.flatMap((value, n) => [ask(value), other(n)]))
    const told = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.rows[0].n : answer.reason.code))
    expect(told).toEqual([1, 0, '22P02', 1, 1, 2, '22P02', 3, 1, 4])
  })
})

describe('a value that cannot be sent leaves the name to the others', () => {
  const unsendable = {
    toString: () => {
      throw new Error('not to be sent')
    },
  }
  test.each([
    ['the first of that name', []],
    ['a later one', [1, 1]],
  ])('%s', PATIENCE, async (_, before) => {
    createPool({ hedge: false })
    await pool.query('select 1')
    for (const value of before) await ask(value)
    for (let turn = 0; turn < 3; turn++) {
      const values = [1, 1, Object.assign(() => 1, unsendable), 1, 1]
      const answers = await Promise.allSettled([pool.query('select 1 as n'), ...values.map(ask)])
      const told = answers.map((answer) => (answer.status === 'fulfilled' ? answer.value.rows[0].n : answer.reason.message))
      expect(told).toEqual([1, 1, 1, 'not to be sent', 1, 1])
    }
    expect(pool.stats()).toMatchObject({ connected: 1, total: 1 })
  })
})
