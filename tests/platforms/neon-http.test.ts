/**
 * Neon over HTTP: `neon()`. Layer: the network before Neon, what stands in front of it, Neon itself, the database behind it. The driver's own function
 * fails with whatever `fetch` says, whether or not the statement was executed. Thaw's retries what certainly reached no database, and reads; of
 * everything else it says that the outcome is unknown.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { NeonDbError, neon as plainNeon } from '@neondatabase/serverless'
import { createInvocation, runInvocation, systemClock } from '@thaw/core'
import { neon as thawNeon } from '@thaw/neon'
import { createStoppableClock } from '@thaw/testkit'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from '../faults/one-neon.ts'

useOneNeon()

const CALLS = 4
const AWAY_MILLIS = 300
/** For plain calls, which would wait for ever. */
const PLAIN_MILLIS = 1000

beforeAll(() => neon.postgres.query('CREATE TABLE orders (id int)'))
beforeEach(async () => {
  await neon.network.accept()
  await neon.compute.accept()
  await neon.postgres.query('TRUNCATE orders')
  // Whatever was still open from the test before. undici hears of it in the turns of this very wait.
  neon.network.cut('rst')
  await neon.postgres.query('SELECT 1')
})

const ALL = Array.from({ length: CALLS }, (_, id) => id)
const insert = (id: number) => `INSERT INTO orders VALUES (${id})`
const stored = async () => (await neon.postgres.query<{ id: number }>('SELECT id FROM orders ORDER BY id')).rows.map(({ id }) => id)

/** With its own retry budget. */
const ours = (url: string = neon.url) => thawNeon(url, { clock: createStoppableClock(), connectionTimeoutMillis: 60_000 })

type Send = (text: string) => PromiseLike<unknown>

function plain(timeoutMillis?: number): Send {
  const sql = plainNeon(neon.url)
  return (text) => sql.query(text, [], timeoutMillis === undefined ? {} : { fetchOptions: { signal: AbortSignal.timeout(timeoutMillis) } })
}

/** How many of the calls fail. */
async function failures(send: Send, texts: readonly string[]): Promise<number> {
  const ends = await Promise.allSettled(texts.map((text) => Promise.resolve(send(text))))
  return ends.filter(({ status }) => status === 'rejected').length
}

/** As many sockets as there are calls, all idle. */
async function warm(send: Send): Promise<void> {
  expect(
    await failures(
      send,
      Array.from({ length: 2 * CALLS }, () => 'SELECT 1'),
    ),
  ).toBe(0)
  // The sockets are free a moment after their answers have been read.
  await neon.postgres.query('SELECT 1')
}

describe('sockets that died while they were idle', () => {
  test.for(['fin-on-next-byte', 'rst-on-next-byte', 'drop'] as const)('%s', async (kind) => {
    const clock = createStoppableClock()
    const sql = thawNeon(neon.url, { clock })
    const send: Send = (text) => sql.query(text)
    // Both on the same sockets: those of the process.
    await warm(send)
    await warm(plain())
    clock.addWall(60_000)
    expect(neon.network.cut(kind)).toBeGreaterThan(0)
    expect(await failures(send, ALL.map(insert))).toBe(0)
    expect(await stored()).toEqual(ALL)
    const { struck } = neon.network.counters
    const before = struck[kind]
    expect(await failures(plain(PLAIN_MILLIS), ALL.map(insert))).toBeGreaterThan(0)
    if (kind !== 'drop') expect(struck[kind]).toBeGreaterThan(before)
  })
})

interface Outage {
  readonly name: string
  begin(): unknown
}

const end = () => Promise.all([neon.network.accept(), neon.compute.accept()])

/** The statement reaches no database: it was not executed, and may be sent again. */
const OUTAGES: readonly Outage[] = [
  {
    name: 'the network refuses for a moment',
    begin: () => neon.network.away(),
  },
  {
    name: 'the compute cannot be reached for a moment',
    begin: () => neon.compute.away(),
  },
  { name: 'Neon has too much to do', begin: () => neon.answerNext(429, { times: CALLS }) },
]

describe('a statement that reached no database', () => {
  test.for(OUTAGES)('$name', async ({ begin }) => {
    begin()
    expect(await failures(plain(), ALL.map(insert))).toBe(CALLS)
    await end()
    const sql = ours()
    await sql`SELECT 1`
    begin()
    const over = sleep(AWAY_MILLIS).then(end)
    expect(await failures((text) => sql.query(text), ALL.map(insert))).toBe(0)
    expect(await stored()).toEqual(ALL)
    // Or it would end what the next test begins.
    await over
  })

  test('an address that never answered is given up soon, one that did later', async () => {
    neon.network.refuse()
    const { port } = neon.network
    const clock = createStoppableClock()
    const unknown = thawNeon(neon.url, { clock })
    const refused = await unknown`SELECT 1`.catch((error) => error)
    expect(refused).toMatchObject({ kind: 'connect', stage: 'tcp', code: 'ECONNREFUSED' })
    expect(refused.attempts).toBeGreaterThan(1)
    expect(refused.cause.cause.sourceError.cause.port).toBe(port)
    expect(JSON.stringify(refused) + refused.message).not.toContain(neon.postgres.password)
  })

  test('a compute that sleeps is waited for', async () => {
    const sql = ours()
    await neon.suspend({ wakeMillis: 500 })
    expect(await failures((text) => sql.query(text), ALL.map(insert))).toBe(0)
    expect(await stored()).toEqual(ALL)
    await neon.suspend({ wakeMillis: 1_000 })
    await expect(sql.query('SELECT 1', [], { query_timeout: 200 })).rejects.toMatchObject({ kind: 'deadline' })
    await sql`SELECT 1`
  })
})

interface Loss {
  readonly name: string
  /** Loses what becomes of the next request. */
  begin(): { readonly struck?: Promise<unknown> } | undefined
  readonly isExecuted: boolean
}

const LOSSES: readonly Loss[] = [
  { name: 'the request is lost', begin: () => neon.network.loseNextRequest(), isExecuted: false },
  { name: 'the answer is lost', begin: () => neon.network.loseNextAnswer(), isExecuted: true },
  { name: 'the answer breaks off in its middle', begin: () => neon.network.loseNextAnswer({ afterBytes: 250 }), isExecuted: true },
  { name: 'the compute dies before the work', begin: () => neon.compute.loseNextRequest({ containing: 'orders' }), isExecuted: false },
  { name: 'the compute dies after the work', begin: () => neon.compute.loseNextAnswer({ containing: 'orders' }), isExecuted: true },
  { name: '503 before the work', begin: () => void neon.answerNext(503), isExecuted: false },
  { name: '502 after the work', begin: () => void neon.answerNext(502, { when: 'after-work' }), isExecuted: true },
]

describe('a statement that may have been executed', () => {
  test.for(LOSSES)('$name', async ({ begin, isExecuted }) => {
    const lost = async (send: () => PromiseLike<unknown>) => {
      const ambush = begin()
      const result = await Promise.resolve(send()).catch((error: Error) => error)
      await ambush?.struck
      return result
    }
    const stock = plainNeon(neon.url)
    expect(await lost(() => stock`SELECT count(*)::int AS orders FROM orders`)).toBeInstanceOf(Error)

    const sql = ours()
    expect(await lost(() => sql`SELECT count(*)::int AS orders FROM orders`)).toEqual([{ orders: 0 }])
    const write = await lost(() => sql`INSERT INTO orders VALUES (1)`)
    expect(write).toMatchObject({ kind: 'outcome-unknown', code: '08007', outcome: 'unknown', reason: 'write-in-flight' })
    expect(await stored()).toEqual(isExecuted ? [1] : [])
    const batch = await lost(() => sql.transaction([sql`INSERT INTO orders VALUES (2)`, sql`INSERT INTO orders VALUES (2)`]))
    expect(batch).toMatchObject({ kind: 'outcome-unknown', reason: 'commit-in-flight' })
    await neon.postgres.query('TRUNCATE orders')
    expect(await lost(() => sql.query(insert(3), [], { idempotent: true }))).toEqual([])
    expect(await stored()).toEqual(isExecuted ? [3, 3] : [3])
    const reads = await lost(() =>
      sql.transaction([sql`SELECT 1 AS one`, sql`SELECT count(*)::int AS orders FROM orders`], { isolationLevel: 'RepeatableRead' }),
    )
    expect(reads).toEqual([[{ one: 1 }], [{ orders: isExecuted ? 2 : 1 }]])
  })

  test('what looks like a read, and is none, is refused the second time and reported', async () => {
    await neon.postgres.query(`CREATE TABLE IF NOT EXISTS seen (id int);
      CREATE OR REPLACE VIEW counting AS SELECT 1 AS one;
      CREATE OR REPLACE FUNCTION count_it() RETURNS int LANGUAGE sql AS 'INSERT INTO seen VALUES (1) RETURNING id';
      CREATE OR REPLACE VIEW counting AS SELECT count_it() AS one`)
    const sql = ours()
    const ambush = neon.network.loseNextAnswer()
    await expect(sql`SELECT one FROM counting`.then((rows) => rows)).rejects.toMatchObject({
      kind: 'outcome-unknown',
      reason: 'write-in-flight',
    })
    await ambush.struck
    expect((await neon.postgres.query('SELECT FROM seen')).rowCount).toBe(1)
  })
})

describe('bounds', () => {
  test('query_timeout: a read is over, of a write the outcome is unknown, and Neon cancels both', async () => {
    const sql = ours(`${neon.url}?application_name=bounded`)
    await expect(sql.query('SELECT pg_sleep(30)', [], { query_timeout: 150 })).rejects.toMatchObject({ kind: 'deadline' })
    const write = sql.query('INSERT INTO orders SELECT 1 FROM pg_sleep(30)', [], { query_timeout: 150 })
    await expect(write).rejects.toMatchObject({ kind: 'outcome-unknown', cause: { kind: 'deadline' } })
    const running = `SELECT FROM pg_stat_activity WHERE application_name = 'bounded' AND state = 'active'`
    await expect.poll(async () => (await neon.postgres.query(running)).rowCount, { timeout: 30_000 }).toBe(0)
    expect(await stored()).toEqual([])
  })

  test.for([
    ['a read', 'SELECT pg_sleep(30)', undefined],
    ['a write', 'INSERT INTO orders SELECT 1 FROM pg_sleep(30)', { kind: 'outcome-unknown' }],
  ] as const)("an abort by fetchOptions.signal, which is the driver's own, is told as by the driver: %s", async ([, text, cause]) => {
    const reasons = [undefined, new Error('enough'), 'enough']
    for (const reason of reasons) {
      const [byDriver, byUs, tooEarly, constructed] = await Promise.all(
        [plainNeon(neon.url), ours(), ours(), undefined].map(async (sql, index) => {
          const controller = new AbortController()
          const fetchOptions = { signal: controller.signal }
          if (index === 2) controller.abort(reason)
          else setTimeout(() => controller.abort(reason), 100)
          const statement = sql
            ? sql.query(text, [], { fetchOptions })
            : thawNeon(neon.url, { clock: createStoppableClock(), fetchOptions }).query(text)
          return statement.then(
            () => expect.unreachable(),
            (error: Error) => error,
          )
        }),
      )
      const { message, sourceError } = byDriver as NeonDbError
      for (const error of [byUs, tooEarly, constructed]) {
        expect(error).toBeInstanceOf(NeonDbError)
        expect((error as NeonDbError).message).toBe(message)
        const source = (error as NeonDbError).sourceError
        if (reason === undefined) expect(source).toMatchObject({ name: sourceError?.name, message: sourceError?.message })
        else expect(source).toBe(reason)
      }
      if (cause) expect(byUs?.cause).toMatchObject(cause)
      expect(tooEarly?.cause).toBeUndefined()
    }
  })

  test('a signal, and the deadline of an invocation', async () => {
    const sql = ours()
    const controller = new AbortController()
    const aborted = sql.query('SELECT pg_sleep(30)', [], { signal: controller.signal })
    const reason = new Error('enough')
    setImmediate(() => controller.abort(reason))
    await expect(aborted).rejects.toBe(reason)
    await expect(sql.query('SELECT 1', [], { signal: controller.signal })).rejects.toBe(reason)
    const invocation = createInvocation({ id: 'a', endsAt: Date.now() + 200, marginMillis: 50, clock: systemClock })
    const within = runInvocation(
      invocation,
      () => new AsyncLocalStorage(),
      () => sql`SELECT pg_sleep(30)`.then((rows) => rows),
    )
    await expect(within).rejects.toMatchObject({ kind: 'deadline' })
  })
})
