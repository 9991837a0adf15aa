/**
 * A write under a key that waits for another one under the same key, until its caller ends it.
 *
 * What breaks: nothing. The other one is at work, as when a message is delivered twice, and has not committed. Plain `pg` rejects after its `query_timeout`, and leaves the statement to run. Thaw asks the server to
 * stop, and its answer says that nothing is stored; the table of keys would answer only when the other one has ended.
 */

import { DeadlineError, type Pool } from '@thaw/pg'
import { beforeEach, describe, expect, test } from 'vitest'
import { activeBackends, failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()

beforeEach(async () => {
  await setting.thaw().createIdempotencyTable()
  await setting.server.query('TRUNCATE ledger, thaw_idempotency')
})

/** By another process, which commits when it is told to. */
async function holdKey(): Promise<() => Promise<unknown>> {
  const other = await setting.plain().connect()
  await other.query('BEGIN')
  await other.query("INSERT INTO thaw_idempotency (key, fingerprint, state) VALUES ('same', 'of another', 'done')")
  return async () => {
    await other.query('ROLLBACK')
    other.release()
  }
}

type Ended = (pool: Pool, bounds: { query_timeout?: number; signal?: AbortSignal }) => Promise<unknown>

const CALLS: readonly [string, Ended][] = [
  ['a statement', (pool, bounds) => pool.query({ text: INSERT, values: ['it'], idempotencyKey: 'same', ...bounds } as never)],
  [
    'a batch',
    (pool, { signal, ...bounds }) =>
      pool.batch([{ text: INSERT, values: ['it'], ...bounds } as never], { idempotencyKey: 'same', ...(signal && { signal }) }),
  ],
]

describe.each(CALLS)('%s', (_name, call) => {
  test.each([
    ['its query_timeout', {}, { query_timeout: 50 }],
    ["the pool's query_timeout", { query_timeout: 50 }, {}],
  ])('ends by %s: nothing is stored, and nothing is left at the server', async (_by, config, bounds) => {
    const letGo = await holdKey()
    const pool = setting.thaw(config)
    expect(await failure(call(pool, bounds))).toBeInstanceOf(DeadlineError)
    await expect.poll(atWork).toBe(0)
    await letGo()
    expect(await setting.rows('it')).toBe(0)
    await call(setting.thaw(), {})
    expect(await setting.rows('it')).toBe(1)
  })

  test('ends by its signal, with its reason', async () => {
    const letGo = await holdKey()
    const pool = setting.thaw()
    const controller = new AbortController()
    const ended = failure(call(pool, { signal: controller.signal }))
    await expect.poll(atWork).toBe(1)
    const reason = new Error('enough')
    controller.abort(reason)
    expect(await ended).toBe(reason)
    await letGo()
    expect(await setting.rows('it')).toBe(0)
  })
})

test('a cancel that comes late ends the question behind the write: its caller is told the reason of its signal', async () => {
  const other = await setting.plain().connect()
  await other.query('BEGIN')
  await other.query("INSERT INTO thaw_idempotency (key, fingerprint, state) VALUES ('same', 'of another', 'done')")
  const controller = new AbortController()
  const pool = setting.thaw()
  const ended = failure(pool.batch([{ text: INSERT, values: ['late'] }], { idempotencyKey: 'same', signal: controller.signal }))
  await expect.poll(atWork).toBe(1)
  const migration = await setting.plain().connect()
  await migration.query('BEGIN')
  const locked = migration.query('LOCK TABLE thaw_idempotency')
  await expect.poll(waiting).toBe(2)
  // The cancel request gets no further than here.
  await setting.proxy.deafen()
  const reason = new Error('enough')
  controller.abort(reason)
  await other.query('COMMIT')
  other.release()
  await locked
  const [question] = await activeBackends(setting.server, 1, 'FROM thaw_idempotency AS it WHERE key')
  await setting.server.query('SELECT pg_cancel_backend($1)', [question])
  await migration.query('COMMIT')
  migration.release()
  expect(await ended).toBe(reason)
  expect(await setting.rows('late')).toBe(0)
  await setting.proxy.accept()
})

async function waiting(): Promise<number> {
  const { rows } = await setting.server.query<{ count: number }>('SELECT count(*)::int FROM pg_locks WHERE NOT granted')
  return rows[0]?.count ?? 0
}

/** Statements of ours that wait for the key. */
async function atWork(): Promise<unknown> {
  const waiting = "SELECT count(*)::int AS n FROM pg_stat_activity WHERE state = 'active' AND wait_event_type = 'Lock'"
  return (await setting.server.query(waiting)).rows[0]?.['n']
}
