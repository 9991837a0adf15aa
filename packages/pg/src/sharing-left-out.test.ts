/**
 * Reads that the server has left out because another one of their run was refused: they are sent again at once, in front of all who came later.
 *
 * What breaks: one caller's value is wrong, or a type has changed under a name, and fifty writes wait behind. With plain `pg` each read is answered before them.
 */

import stock from 'pg'
import { afterEach, beforeAll, expect, onTestFinished, test } from 'vitest'
import { createPool, PATIENCE, pool, server, useSharingWorld } from '../test/sharing-world.ts'

useSharingWorld()

beforeAll(() => server.query('create table written (n int); create table changing as select 1 as n'))
afterEach(() => server.query('truncate written'))

const SIX = [0, 1, 2, 3, 4, 5]
const SEEN = '(select count(*)::int from written) as seen'
type Asked = Pick<stock.Pool, 'query'>

/** For each read how many of the writes it saw, or the code of its error. */
async function besideWrites(of: Asked, read: (n: number) => Promise<stock.QueryResult>): Promise<unknown[]> {
  const reads = SIX.map((n) =>
    read(n).then(
      ({ rows }) => rows[0].seen,
      (error: { readonly code?: string }) => error.code ?? error,
    ),
  )
  const writes = Array.from({ length: 50 }, (_, n) => of.query('insert into written select $1 from pg_sleep(0.01)', [n]))
  const answers = await Promise.all(reads)
  await Promise.all(writes)
  return answers
}

const plainPool = (max: number) => {
  const plain = new stock.Pool({ connectionString: server.url, max })
  onTestFinished(() => plain.end())
  return plain
}

test.each([1, 2, 5])('a value is refused, max: %i', PATIENCE, async (max) => {
  const run = async (of: Asked) => {
    const read = (n: number | string) => of.query(`select $1::int as n, ${SEEN}`, [n])
    for (let turn = 0; turn < 12; turn++) await Promise.all(SIX.map(read))
    return besideWrites(of, (n) => read(n === 3 ? 'x' : n))
  }
  const expected = [0, 0, 0, '22P02', 0, 0]
  if (max === 1) expect(await run(plainPool(max))).toEqual(expected)
  await server.query('truncate written')
  createPool({ max })
  const told = await run(pool)
  expect(told[3]).toBe('22P02')
  // Where there are several connections, a write may have begun on another one.
  for (const [n, seen] of told.entries()) if (n !== 3) expect(seen).toBeLessThanOrEqual(2 * (max - 1))
})

test('so it is where the time of a wait for a connection is short', PATIENCE, async () => {
  createPool({ connectionTimeoutMillis: 300 })
  const read = (n: number | string) => pool.query(`select $1::int as n, ${SEEN}`, [n])
  for (let turn = 0; turn < 12; turn++) await Promise.all(SIX.map(read))
  const reads = Promise.allSettled(SIX.map((n) => read(n === 3 ? 'x' : n)))
  const writes = Promise.allSettled(Array.from({ length: 50 }, () => pool.query('insert into written select 1 from pg_sleep(0.01)')))
  expect((await reads).map((one) => (one.status === 'fulfilled' ? one.value.rows[0].seen : one.reason.code))).toEqual([
    0,
    0,
    0,
    '22P02',
    0,
    0,
  ])
  await writes
})

test('a type has changed under their name', PATIENCE, async () => {
  createPool()
  const read = (n: number) => pool.query({ name: 'mine', text: `select *, $1::int as asked, ${SEEN} from changing`, values: [n] })
  for (let turn = 0; turn < 12; turn++) await Promise.all(SIX.map(read))
  await server.query('alter table changing alter column n type bigint')
  const told = await besideWrites(pool, read)
  expect(told[0]).toBe('0A000')
  // One write may come between the one that parses the name again and the others.
  for (const seen of told.slice(1)) expect(seen).toBeLessThanOrEqual(1)
})
