/**
 * A batch over HTTP, without a key or `once`, where the table of keys is there.
 *
 * What breaks: its answer is lost. With Neon's `sql.transaction()` no client can know whether it is stored. With Thaw it is under a key of its own, and is stored once.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import * as stock from '@neondatabase/serverless'
import { createInvocation, OutcomeUnknownError, runInvocation } from '@thaw/core'
import { createFakeClock } from '@thaw/testkit'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { Pool, type PoolConfig } from './index.ts'

useOneNeon()

const INSERT = 'INSERT INTO ledger VALUES ($1, $2)'
const two = (token: string) => [
  { text: `${INSERT} RETURNING token, n`, values: [token, 1] },
  { text: INSERT, values: [token, 2] },
]

let pool: Pool
const open = (config: PoolConfig = {}) => {
  pool = new Pool({ connectionString: neon.url, ...config })
  return pool
}
const admin = (text: string, values?: unknown[]) => neon.postgres.query(text, values)
const rows = async (token: string) => (await admin('SELECT FROM ledger WHERE token = $1', [token])).rowCount
const keys = async () => (await admin('SELECT FROM thaw_idempotency')).rowCount
const failure = (work: Promise<unknown>) =>
  work.then(
    (value) => new Error(`should have failed, but gave ${JSON.stringify(value)}`),
    (error: Error) => error,
  )

beforeAll(() => admin('CREATE TABLE ledger (token text NOT NULL, n int)'))
beforeEach(async () => {
  stock.neonConfig.poolQueryViaFetch = true
  await admin('DROP TABLE IF EXISTS thaw_idempotency; TRUNCATE ledger')
  await open().createIdempotencyTable()
  await pool.end()
})
afterEach(async () => {
  stock.neonConfig.poolQueryViaFetch = false
  await pool.end({ timeoutMillis: 1000 })
})

const LOSSES = [
  ['the request is lost', () => neon.network.loseNextRequest()],
  ['the answer is lost', () => neon.network.loseNextAnswer()],
  ['the answer breaks off in its middle', () => neon.network.loseNextAnswer({ afterBytes: 250 })],
  ['the compute dies before the work', () => neon.compute.loseNextRequest({ containing: 'INSERT INTO ledger' })],
  ['the compute dies after the work', () => neon.compute.loseNextAnswer({ containing: 'INSERT INTO ledger' })],
  ['the compute dies at its COMMIT', () => neon.compute.loseNextAnswer({ containing: 'COMMIT' })],
  ['503 before the work', () => void neon.answerNext(503)],
  ['502 after the work', () => void neon.answerNext(502, { when: 'after-work' })],
] as const

describe('a batch over HTTP, where the table of keys is there', () => {
  test.each(LOSSES)('%s: stored once, with its rows', async (_name, begin) => {
    open()
    // The first one that writes finds out that the table is there.
    await pool.batch(two('learns'))
    const lost = begin()
    const [first, second] = await pool.batch(two('lost'))
    await lost?.struck
    expect(first).toMatchObject({ command: 'INSERT', rowCount: 1, rows: [{ token: 'lost', n: 1 }] })
    expect(second).toMatchObject({ command: 'INSERT' })
    expect(await rows('lost')).toBe(2)
    expect(await keys()).toBe(1)
  })

  test('takes no request more, and is answered as without', async () => {
    open()
    await pool.batch(two('learns'))
    const before = neon.counters.requests
    const [first, second] = await pool.batch(two('counted'))
    expect(neon.counters.requests - before).toBe(1)
    expect(first).toMatchObject({ command: 'INSERT', rowCount: 1, rows: [{ token: 'counted', n: 1 }] })
    expect(second).toMatchObject({ command: 'INSERT', rowCount: 1, rows: [] })
    const { rows } = await admin("SELECT key ~ '^[0-9a-f]{8}-[0-9a-f]{4}-7' AS v7, key_time IS NOT NULL AS timed FROM thaw_idempotency")
    expect(rows).toEqual([{ v7: true, timed: true }])
    expect(pool.totalCount).toBe(0)
  })

  test('its rows come as arrays, where they were asked for, also when its answer was lost', async () => {
    open()
    await pool.batch(two('learns'))
    neon.network.loseNextAnswer()
    const inArrays = two('arrays').map((statement) => ({ ...statement, rowMode: 'array' as const }))
    const [first] = await pool.batch(inArrays)
    expect(first?.rows).toEqual([['arrays', 1]])
  })

  test('has none with once: false, where it only reads, and where there is no table', async () => {
    open()
    await pool.batch(two('learns'))
    await pool.batch(two('plain'), { once: false })
    await pool.batch(['SELECT 1', 'SELECT 2'])
    expect([await keys(), await rows('plain')]).toEqual([0, 2])
    neon.network.loseNextAnswer()
    expect(await failure(pool.batch(two('plain'), { once: false }))).toBeInstanceOf(OutcomeUnknownError)
    await admin('DROP TABLE thaw_idempotency')
    await pool.end()
    open()
    await pool.batch(two('none'))
    neon.network.loseNextAnswer()
    expect(await failure(pool.batch(two('none')))).toMatchObject({ kind: 'outcome-unknown', reason: 'commit-in-flight' })
  })

  test.each([
    ['is gone', 'DROP TABLE thaw_idempotency'],
    ['refuses the row', 'ALTER TABLE thaw_idempotency ADD CHECK (false)'],
  ])('and the table %s meanwhile: the batch has nothing to do with that', async (_name, sql) => {
    open()
    await pool.batch(two('learns'))
    await admin(sql)
    for (const n of [1, 2]) {
      expect((await pool.batch(two('meanwhile')))[0]?.rows).toEqual([{ token: 'meanwhile', n: 1 }])
      expect(await rows('meanwhile')).toBe(2 * n)
    }
  })

  test('and it is locked for a moment: without a key then, and with one afterwards', async () => {
    open({ lock_timeout: 100 } as PoolConfig)
    await pool.batch(two('learns'))
    const other = new stock.Pool({ connectionString: neon.url })
    const locking = await other.connect()
    await locking.query('BEGIN; LOCK TABLE thaw_idempotency')
    const [first] = await pool.batch(two('locked')).finally(async () => {
      await locking.query('COMMIT')
      locking.release()
      await other.end()
    })
    expect(first?.rows).toEqual([{ token: 'locked', n: 1 }])
    expect([await keys(), await rows('locked')]).toEqual([0, 2])
    await pool.batch(two('unlocked'))
    expect(await keys()).toBe(1)
  })

  test('fails with the error of its own statement, of which nothing is stored', async () => {
    open()
    await pool.batch(two('learns'))
    for (const [text, code] of [
      ['SELECT 1/0', '22012'],
      ['SELECT nothing', '42703'],
    ] as const)
      expect(await failure(pool.batch([...two('failing'), text]))).toMatchObject({ code })
    expect([await keys(), await rows('failing')]).toEqual([0, 0])
  })

  test('a statement whose rows cannot be kept is sent as it is', async () => {
    open()
    await admin('CREATE TABLE ruled (token text); CREATE RULE noted AS ON INSERT TO ruled DO ALSO INSERT INTO ledger VALUES (new.token, 0)')
    await pool.batch(two('learns'))
    for (const n of [1, 2]) {
      await pool.batch([{ text: 'INSERT INTO ruled VALUES ($1) RETURNING token', values: ['ruled'] }])
      expect([await rows('ruled'), await keys()]).toEqual([n, n])
    }
    await admin('DROP TABLE ruled')
  })

  const isAsleep = () =>
    expect
      .poll(async () => (await admin("SELECT FROM pg_stat_activity WHERE wait_event = 'PgSleep'")).rowCount, { timeout: 30_000 })
      .toBe(1)

  test('its caller aborts it: the reason where nothing is stored, and nothing comes late', async () => {
    open()
    await pool.batch(two('learns'))
    const controller = new AbortController()
    const work = failure(pool.batch([...two('aborted'), 'SELECT pg_sleep(60)'], { signal: controller.signal }))
    await isAsleep()
    const reason = new Error('enough')
    controller.abort(reason)
    expect(await work).toBe(reason)
    expect(await rows('aborted')).toBe(0)
  })

  test('its invocation has no time left: one question is asked all the same', async () => {
    open()
    await pool.batch(two('learns'))
    const clock = createFakeClock()
    const invocation = createInvocation({ id: 'a', endsAt: clock.wall() + 5_000, marginMillis: 0, clock })
    const work = runInvocation(
      invocation,
      () => new AsyncLocalStorage(),
      () => failure(pool.batch([...two('deadline'), 'SELECT pg_sleep(60)'])),
    )
    await isAsleep()
    clock.advance(5_000)
    expect(await work).toMatchObject({ kind: 'deadline' })
    expect(await rows('deadline')).toBe(0)
  })

  test('and nothing can be asked before its invocation ends: unknown, and pool.outcome() tells later', async () => {
    open()
    await pool.batch(two('learns'))
    const clock = createFakeClock()
    const invocation = createInvocation({ id: 'a', endsAt: clock.wall() + 5_000, marginMillis: 0, clock })
    void neon.network.loseNextAnswer().struck.then(() => {
      neon.network.refuse()
      clock.advance(5_000)
    })
    const within = runInvocation(
      invocation,
      () => new AsyncLocalStorage(),
      () => failure(pool.batch(two('later'))),
    )
    const unknown = await within
    expect(unknown).toMatchObject({ kind: 'outcome-unknown', reason: 'key-not-asked' })
    await neon.network.accept()
    expect(await pool.outcome(unknown)).toBe('executed')
    expect(await rows('later')).toBe(2)
  })

  test('which a pool has made itself, or that was made since it has looked', async () => {
    open()
    await pool.createIdempotencyTable()
    await pool.batch(two('made'))
    expect(await keys()).toBe(1)
    await pool.end()
    await admin('DROP TABLE thaw_idempotency')
    open()
    await pool.batch(two('none'))
    await pool.batch(two('none'))
    const other = new Pool({ connectionString: neon.url })
    await other.createIdempotencyTable()
    await other.end()
    await pool.query({ text: INSERT, values: ['keyed', 1], idempotencyKey: 'keyed' })
    await pool.batch(two('learns'))
    await pool.batch(two('knows'))
    expect(await keys()).toBe(2)
  })
})

test('its wait for synchronous replicas is ended: it is not told as stored before they have it', async () => {
  open()
  await pool.batch(two('learns'))
  const names = async (text: string) => {
    await admin(`ALTER SYSTEM ${text}`)
    await admin('SELECT pg_reload_conf()')
  }
  const waiting = (count: number) =>
    expect.poll(async () => (await admin("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'")).rowCount).toBe(count)
  const write = () => {
    const token = `replicated ${Math.random()}`
    return { token, told: failure(pool.batch(two(token))) }
  }
  await names("SET synchronous_standby_names = 'gone'")
  try {
    const { token, told } = write()
    await waiting(1)
    await neon.network.cut('rst')
    await admin("SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
    expect(await told).toBeInstanceOf(OutcomeUnknownError)
    await names('RESET synchronous_standby_names')
    expect(await pool.outcome(await told)).toBe('executed')
    expect(await rows(token)).toBe(2)
  } finally {
    await names('RESET synchronous_standby_names')
  }
})
