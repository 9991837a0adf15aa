/**
 * Statements of a `connect` listener that waits for each of them, on a new connection on which a read is sent again, or raced: inside a READ ONLY transaction of the pool's. They are no part of that.
 * With plain pg the caller asks once more by hand.
 */

import stock from 'pg'
import { describe, expect, test, vi } from 'vitest'
import { createPool, lock, PATIENCE, pool, proxy, server, teach, untilLocked, useSharingWorld } from '../test/sharing-world.ts'
import type { Pool } from './index.ts'

useSharingWorld()

type Statements = readonly string[]

/** Sends them on each new connection, one after the other. Returns what became of each. */
function listen(to: stock.Pool, statements: Statements): string[] {
  const told: string[] = []
  to.on('connect', async (client) => {
    for (const text of statements) {
      await client.query(text).then(
        () => told.push('done'),
        (error: Error) => told.push(error.message),
      )
    }
  })
  return told
}

const NAMED = ["set application_name = 'mine'", "insert into told values ('listener')"]

describe.each<{ does: string; statements: Statements }>([
  { does: 'two statements', statements: NAMED },
  { does: 'a transaction', statements: ['begin', ...NAMED, 'commit'] },
])('$does of a listener, and a read whose connection is reset', ({ statements }) => {
  test.each([
    ['plain pg', undefined],
    ['share: false', false],
    ['share: true', true],
  ] as const)('%s', PATIENCE, async (_, share) => {
    await server.query('drop table if exists told; create table told (by text)')
    const any = share === undefined ? new stock.Pool({ connectionString: proxy.urlFor(server.url), max: 1 }) : createPool({ share })
    any.on('error', () => {})
    await any.query('select 1')
    const told = listen(any, statements)
    const unlock = await lock()
    const ask = () => any.query('select count(*)::int as n from read_me')
    const answer = ask().catch((error) => (share === undefined ? ask() : Promise.reject(error)))
    await untilLocked()
    proxy.cut('rst')
    await unlock()
    expect((await answer).rows).toEqual([{ n: 3 }])
    await vi.waitFor(() => expect(told).toHaveLength(statements.length))
    expect(told).toEqual(statements.map(() => 'done'))
    expect((await server.query('select from told')).rowCount).toBe(1)
    expect((await any.query("select current_setting('application_name') as name")).rows).toEqual([{ name: 'mine' }])
    if (share === undefined) await any.end()
  })
})

describe('a transaction that fails on a new connection', () => {
  const INSERT = 'insert into keeps values (1)'

  test.each<[string, (any: Pool) => Promise<unknown>, boolean]>([
    [
      'by hand, as with plain pg: what the listener sends is part of it',
      async (any) => {
        const client = await any.connect()
        await client.query('begin')
        await client.query(INSERT).finally(() => client.query('rollback'))
      },
      false,
    ],
    ['pool.transaction()', (any) => any.transaction((client) => client.query(INSERT)), true],
    ['once', (any) => any.query({ text: INSERT, once: true }), true],
    ['pool.batch()', (any) => any.batch([{ text: 'select 1' }, { text: INSERT }]), true],
  ])('%s', PATIENCE, async (_, work, isApart) => {
    await server.query(
      'drop table if exists told, keeps; create table told (by text); create table keeps (n int unique); insert into keeps values (1)',
    )
    createPool()
    const told = listen(pool, [...NAMED, "insert into told values ('again')"])
    await expect(work(pool).finally(() => vi.waitFor(() => expect(told).toHaveLength(3)))).rejects.toMatchObject({ code: '23505' })
    expect(told.filter((each) => each === 'done').length === 3).toBe(isApart)
    if (isApart) expect((await server.query('select from told')).rowCount).toBe(2)
  })
})

test(
  'a listener that pauses in a transaction of its own, and rolls it back: nothing of that is stored by a read that is sent again',
  PATIENCE,
  async () => {
    await server.query('drop table if exists told; create table told (by text)')
    createPool()
    await pool.query('select 1')
    const told: Promise<unknown>[] = []
    pool.on('connect', (client) => {
      const work = async () => {
        await client.query("begin; insert into told values ('listener')")
        await new Promise((resolve) => setTimeout(resolve, 100))
        await client.query('rollback')
      }
      told.push(work())
    })
    const unlock = await lock()
    const answer = pool.query('select count(*)::int as n from read_me')
    await untilLocked()
    proxy.cut('rst')
    await unlock()
    expect((await answer).rows).toEqual([{ n: 3 }])
    await Promise.all(told)
    expect((await server.query('select from told')).rowCount).toBe(0)
  },
)

test('a listener that is at work: a transaction ends by its signal all the same, and is begun after a while', {
  timeout: 15_000,
}, async () => {
  createPool()
  const unlock = await lock()
  const told = listen(pool, ['select from read_me'])
  const aborted = new Error('aborted')
  const abort = new AbortController()
  const call = pool.transaction((client) => client.query('select 1'), { signal: abort.signal })
  await untilLocked()
  abort.abort(aborted)
  await expect(call).rejects.toBe(aborted)
  expect(told).toEqual([])
  const begun = pool.transaction((client) => client.query('select 2 as n'))
  await unlock()
  expect((await begun).rows).toEqual([{ n: 2 }])
})

test('a read that is raced on a new connection, and cancelled there: what the listener has set stays', PATIENCE, async () => {
  const PART = 'select me from parts where id = $1'
  await server.query(
    'drop table if exists parts, told; create table told (by text); create table parts (id int, me text) partition by list (id)',
  )
  for (const id of [0, 1])
    await server.query(`create table parts_${id} partition of parts for values in (${id}); insert into parts values (${id}, 'me ${id}')`)
  createPool({ max: 2 })
  await teach(1, PART)
  const told = listen(pool, NAMED)
  const blocker = new stock.Client(server.url)
  await blocker.connect()
  await blocker.query('begin; lock table parts_0, parts_1')
  const answers = [0, 1].map((id) => pool.query(PART, [id]))
  await vi.waitFor(() => expect(told).toEqual(['done', 'done']), PATIENCE)
  await vi.waitFor(() => expect(pool.idleCount).toBe(1), PATIENCE)
  await blocker.end()
  expect((await Promise.all(answers)).map(({ rows }) => rows[0].me)).toEqual(['me 0', 'me 1'])
  const clients = await Promise.all([pool.connect(), pool.connect()])
  const names = await Promise.all(clients.map(async (client) => (await client.query('show application_name')).rows[0].application_name))
  for (const client of clients) client.release()
  expect(names.sort()).toEqual(['', 'mine'])
  expect((await server.query('select from told')).rowCount).toBe(1)
})
