/**
 * A statement whose connection has been forgotten, with others behind it or not.
 *
 * What breaks: the statement has arrived, then a NAT forgets the connection, or a host that stood in between restarts. The client's next byte would be answered by a FIN or
 * an RST, but there is none to send; the backend has no client to answer, and is gone. With plain `pg` the call hangs, and on `max: 1` all others wait behind it for ever. With Thaw
 * the server is asked. That it does not know the backend proves nothing, as another server may have been asked; but then a byte is sent. Should that vanish, too, a read is sent
 * again once it keeps others waiting.
 */

import { OutcomeUnknownError, type PoolConfig } from '@thaw/pg'
import type { CutKind } from '@thaw/testkit'
import pg from 'pg'
import { beforeAll, expect, test } from 'vitest'
import { activeBackends, failure, INSERT, useSetting } from './setting.ts'
import { until } from './until.ts'

const setting = useSetting()
const COUNT = 'SELECT count(*)::int AS n FROM read_me'
const PATIENCE = { timeout: 60_000 }

beforeAll(() => setting.server.query('CREATE TABLE read_me AS SELECT n FROM generate_series(1, 3) n'))

/** The first call waits for a lock when the connection is forgotten. */
async function forgotten(pool: pg.Pool, others: () => Promise<pg.QueryResult>[], kind: CutKind, text = COUNT) {
  await pool.query('SELECT 1')
  const blocker = new pg.Client(setting.server.url)
  await blocker.connect()
  await blocker.query('BEGIN; LOCK TABLE read_me')
  const calls = [pool.query(text), ...others()]
  await activeBackends(setting.server, 1, 'read_me')
  expect(setting.proxy.cut(kind)).toBe(1)
  // Its backend has no client to answer.
  if (kind === 'drop')
    expect(
      (await setting.server.query("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock'")).rowCount,
    ).toBe(1)
  await blocker.end()
  return calls
}

const reads = (pool: pg.Pool) => () => [1, 2, 3, 4, 5, 6, 7].map((n) => pool.query('SELECT $1::int AS n', [n]))

test('seven reads behind it', PATIENCE, async () => {
  let isHanging = true
  const stock = setting.plain({ max: 1 })
  for (const call of await forgotten(stock, reads(stock), 'rst-on-next-byte')) call.then(() => (isHanging = false)).catch(() => {})

  const pool = setting.thaw({ max: 1 })
  await Promise.all(reads(pool)())
  const answers = await Promise.all(await forgotten(pool, reads(pool), 'rst-on-next-byte'))
  expect(answers.map(({ rows }) => rows[0].n)).toEqual([3, 1, 2, 3, 4, 5, 6, 7])
  // A Flush.
  expect(setting.proxy.counters.bytesLost).toBe(5)
  expect(isHanging).toBe(true)
  await until('the place is free', () => pool.stats().idle === 1 && pool.stats().total === 1)
})

test('a write that waits for its connection', PATIENCE, async () => {
  const pool = setting.thaw({ max: 1, connectionTimeoutMillis: 0 })
  const [read, write] = await forgotten(pool, () => [pool.query(INSERT, ['waiting'])], 'fin-on-next-byte')
  await write
  expect((await read)?.rows).toEqual([{ n: 3 }])
  expect(await setting.rows('waiting')).toBe(1)
})

test('a write alone ends as unknown', PATIENCE, async () => {
  const pool = setting.thaw({ max: 1 })
  const calls = await forgotten(pool, () => [], 'rst-on-next-byte', "INSERT INTO ledger SELECT 'alone' FROM read_me")
  expect(await failure(Promise.all(calls))).toBeInstanceOf(OutcomeUnknownError)
})

test.each<[string, PoolConfig]>([
  ['reads that share a connection', {}],
  ['reads that share no connection', { share: false }],
  ['a read that was sent behind a probe', { trustMillis: 0 }],
  ['the same, and none shares a connection', { trustMillis: 0, share: false }],
  ['a Client class of the user', { share: false, Client: class extends pg.Client {} }],
])('nothing is answered to that byte, and nothing else gets on: %s', PATIENCE, async (_, config) => {
  let isHanging = true
  const stock = setting.plain({ max: 1 })
  for (const call of await forgotten(stock, reads(stock), 'drop')) call.then(() => (isHanging = false)).catch(() => {})

  const pool = setting.thaw({ max: 1, ...config })
  await Promise.all(reads(pool)())
  const answers = await Promise.all(await forgotten(pool, reads(pool), 'drop'))
  expect(answers.map(({ rows }) => rows[0].n)).toEqual([3, 1, 2, 3, 4, 5, 6, 7])
  expect(isHanging).toBe(true)
  await until('the place is free', () => pool.stats().idle === 1 && pool.stats().total === 1)
})

test('a write that is in the way is not moved', PATIENCE, async () => {
  const pool = setting.thaw({ max: 1, share: false, connectionTimeoutMillis: 7000 })
  const write = "INSERT INTO ledger SELECT 'in the way' FROM read_me"
  const [lost, ...behind] = await forgotten(pool, reads(pool), 'drop', write)
  lost?.catch(() => {})
  for (const read of behind) expect(await failure(read)).toMatchObject({ kind: 'acquire-timeout' })
  expect(pool.stats().total).toBe(1)
})
