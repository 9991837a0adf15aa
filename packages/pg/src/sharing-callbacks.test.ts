/**
 * Callbacks of reads that share a connection: what they ask is asked while the driver is still at work on the answer. And how long reads wait that are behind others.
 *
 * What breaks: nothing of the network. Plain `pg` beside Thaw: every caller is told, with its own rows.
 */

import stock from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { createPool, lock, PATIENCE, pool, proxy, server, untilLocked, useSharingWorld } from '../test/sharing-world.ts'
import { catchUncaught } from '../test/uncaught.ts'

useSharingWorld()

type Row = { readonly n: number }
type Answer = (error: Error | undefined, result: stock.QueryResult<Row>) => void
type Asks = Pick<stock.Pool, 'end' | 'on' | 'query'>

const ASK = 'select $1::int as n'
const COUNT = 'select count(*)::int as n from read_me'

/** Plain pg, on one connection, without the proxy's record. */
function createPlain(config: stock.PoolConfig = {}): stock.Pool {
  const plain = new stock.Pool({ connectionString: server.url, max: 1, ...config })
  onTestFinished(() => plain.end())
  return plain
}

const shown: (noted: (what: unknown) => void) => Answer = (noted) => (error, result) => noted(error ? error.message : result.rows[0]?.n)
const askBack = (of: Asks, config: stock.QueryConfig, answer: Answer): void => of.query(config, answer as never) as never

/** The connection is shared, the texts are quick. */
async function warm(of: Asks): Promise<void> {
  for (let turn = 0; turn < 12; turn++) await Promise.all([0, 1, 2].map((n) => of.query(ASK, [n])))
}

/** Two reads at once; the callback of the last one asks a third. `rounds` times. */
async function askAgain(of: Asks, rounds: number): Promise<unknown[]> {
  const told: unknown[] = []
  for (let round = 0; round < rounds; round++) {
    await new Promise<void>((resolve) => {
      const note = (then: () => void) =>
        shown((what) => {
          told.push(what)
          then()
        })
      askBack(
        of,
        { text: ASK, values: [1] },
        note(() => {}),
      )
      askBack(
        of,
        { text: `${ASK}, 1 as m`, values: [2] },
        note(() => askBack(of, { text: ASK, values: [3] }, note(resolve))),
      )
    })
  }
  return told
}

test('the callback of the last one asks again: each is answered, and no connection is closed', PATIENCE, async () => {
  const expected = Array.from({ length: 50 }, () => [1, 2, 3]).flat()
  expect(await askAgain(createPlain(), 50)).toEqual(expected)
  createPool()
  await warm(pool)
  expect(await askAgain(pool, 50)).toEqual(expected)
  expect(pool.stats()).toMatchObject({ connected: 1, retried: 0 })
})

test('a callback asks again, and a client that was given back is used: each gets its own', PATIENCE, async () => {
  const run = async (of: stock.Pool, isSlow: (on: boolean) => void) => {
    let kept: stock.PoolClient | undefined
    of.on('connect', (client) => {
      kept = client
      client.on('error', () => {})
    })
    await warm(of)
    isSlow(true)
    const told: Record<string, unknown> = {}
    const note = (name: string) => shown((what) => (told[name] = what))
    askBack(of, { text: ASK, values: [1] }, note('first'))
    askBack(of, { text: `${ASK}, 1 as m`, values: [2] }, (...answer) => {
      note('second')(...answer)
      askBack(of, { text: `${ASK}, 1 as m`, values: [3] }, note('third'))
      setTimeout(() => kept?.query('select 4 as n', note('of the client') as never), 3)
    })
    await expect.poll(() => Object.keys(told).length).toBe(4)
    isSlow(false)
    return told
  }
  const expected = { first: 1, second: 2, third: 3, 'of the client': 4 }
  expect(await run(createPlain(), () => {})).toEqual(expected)
  createPool()
  const far = (isFar: boolean) => proxy.setDelay({ toServerMillis: isFar ? 5 : 0, toClientMillis: isFar ? 5 : 0 })
  expect(await run(pool as never, far)).toEqual(expected)
})

test('a callback throws on the error of its parser: those of its run, and those behind, are told', PATIENCE, async () => {
  const run = async (of: Asks) => {
    await warm(of)
    const told: unknown[] = Array(10).fill('never told')
    const uncaught = catchUncaught()
    const types = {
      getTypeParser: () => () => {
        throw new Error('of the parser')
      },
    }
    for (let n = 0; n < 10; n++) {
      const text = n < 6 ? ASK : `${ASK}, ${n} as behind`
      const config = { text, values: [n], ...(n === 1 ? { types } : {}) }
      const note = shown((what) => (told[n] = what))
      askBack(of, config as never, (error, result) => {
        note(error, result)
        if (n === 1) throw new Error('of the callback')
      })
    }
    await expect.poll(() => told.filter((one) => one === 'never told')).toEqual([])
    await uncaught.stop()
    return told
  }
  const expected = [0, 'of the parser', 2, 3, 4, 5, 6, 7, 8, 9]
  expect(await run(createPlain())).toEqual(expected)
  createPool({ hedge: false })
  expect(await run(pool)).toEqual(expected)
})

test('a read that is refused before it is sent, and then a write: both are told what is so', PATIENCE, async () => {
  await server.query('create table if not exists refused (n int)')
  const { prototype } = (stock as unknown as { Query: { prototype: { submit(this: { text: string }, connection: object): unknown } } })
    .Query
  const { submit } = prototype
  prototype.submit = function (connection) {
    return this.text.includes('forbidden') ? new Error('refused') : submit.call(this, connection)
  }
  onTestFinished(() => {
    prototype.submit = submit
  })
  const run = async (of: Asks) => {
    await warm(of)
    const told: Record<string, unknown> = {}
    const note = (name: string) => shown((what) => (told[name] = what))
    askBack(of, { text: ASK, values: [1] }, (...answer) => {
      note('first')(...answer)
      askBack(of, { text: "select 'forbidden' as n, $1::int as k", values: [1] }, note('read'))
      askBack(of, { text: 'insert into refused values (7) returning n' }, note('write'))
    })
    for (const n of [2, 3]) askBack(of, { text: ASK, values: [n] }, note(`of ${n}`))
    await expect.poll(() => Object.keys(told).length).toBe(5)
    return told
  }
  const expected = { first: 1, read: 'refused', write: 7, 'of 2': 2, 'of 3': 3 }
  expect(await run(createPlain())).toEqual(expected)
  createPool()
  expect(await run(pool)).toEqual(expected)
  expect((await server.query('select * from refused')).rowCount).toBe(2)
})

const SLEEPS = 'select $1::int as n, pg_sleep($2::float8)'

test.each([1, 5])(
  'one of those that are bounded takes too long, on %i connections: it is told, and none beside it',
  PATIENCE,
  async (max) => {
    const run = async (of: Asks) => {
      for (let turn = 0; turn < 12; turn++) await Promise.all([0, 1, 2].map((n) => of.query(SLEEPS, [n, 0])))
      const reads = [0, 1, 2, 3, 4, 5].map((n) => of.query<Row>(SLEEPS, [n, n === 2 ? 2 : 0]))
      return (await Promise.allSettled(reads)).map((one) =>
        one.status === 'fulfilled' ? one.value.rows[0]?.n : String(one.reason.message),
      )
    }
    const expected = [0, 1, expect.stringMatching(/^Query read timeout/), 3, 4, 5]
    expect(await run(createPlain({ max, query_timeout: 700 }))).toEqual(expected)
    createPool({ max, query_timeout: 700 })
    expect(await run(pool)).toEqual(expected)
  },
)

test('only the quick ones are bounded: all are answered', PATIENCE, async () => {
  createPool({ hedge: false })
  for (let turn = 0; turn < 12; turn++) await Promise.all([0, 1, 2].map((n) => pool.query(SLEEPS, [n, 0])))
  const config = (n: number) => ({ text: SLEEPS, values: [n, n === 2 ? 1.5 : 0], ...(n === 2 ? {} : { query_timeout: 500 }) })
  const answers = await Promise.all([0, 1, 2, 3, 4, 5].map((n) => pool.query<Row>(config(n))))
  expect(answers.map(({ rows }) => rows[0]?.n)).toEqual([0, 1, 2, 3, 4, 5])
  expect(pool.stats()).toMatchObject({ connected: 1, retried: 0 })
})

test.each([1, 2])(
  'all of %i connections are blocked: who waits behind is told when a wait for a connection would be over',
  PATIENCE,
  async (max) => {
    const told = async (of: Asks, unlock: () => Promise<void>) => {
      const heads = Array.from({ length: max }, () => of.query<Row>(COUNT))
      await untilLocked(max)
      const answers = await Promise.allSettled([1, 2, 3, 4].map((n) => of.query<Row>(ASK, [n])))
      await unlock()
      expect((await Promise.all(heads)).map(({ rows }) => rows[0]?.n)).toEqual(heads.map(() => 3))
      return answers.map((one) => (one.status === 'rejected' ? one.reason.message : 'answered'))
    }
    const plain = createPlain({ max, connectionTimeoutMillis: 1000 })
    expect(await told(plain, await lock())).toEqual(Array(4).fill('timeout exceeded when trying to connect'))
    createPool({ max, connectionTimeoutMillis: 1000 })
    await Promise.all(Array.from({ length: max }, async () => (await pool.connect()).release()))
    await warm(pool)
    expect(await told(pool, await lock())).toEqual(
      Array(4).fill(
        expect.stringMatching(max === 1 ? /^timeout exceeded .* has been sent behind others on its connection/ : /^timeout exceeded/),
      ),
    )
    expect((await pool.query<Row>(ASK, [5])).rows[0]?.n).toBe(5)
  },
)

test('one of a run fails just as its socket is closed: all are told', PATIENCE, async () => {
  const text = 'select 100 / $1::int as n'
  const run = async (of: Pick<stock.Pool, 'on' | 'query'>) => {
    let made: stock.PoolClient | undefined
    of.on('connect', (client) => {
      made ??= client
      client.on('error', () => {})
    })
    of.on('error', () => {})
    for (let turn = 0; turn < 12; turn++) await Promise.all([1, 2, 4].map((n) => of.query(text, [n])))
    const types = {
      getTypeParser: () => (value: string) => {
        ;(made as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy()
        return value
      },
    }
    const reads = [1, 0, 2, 4].map((n) => of.query<Row>({ text, values: [n], ...(n === 1 ? { types } : {}) } as never))
    return (await Promise.allSettled(reads)).map((one) => (one.status === 'fulfilled' ? Number(one.value.rows[0]?.n) : one.reason.message))
  }
  createPool({ hedge: false })
  expect(await run(pool as never)).toEqual([100, 'division by zero', 50, 25])
})
