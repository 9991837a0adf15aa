/**
 * What still uses the client of `pool.transaction()` when its function has ended.
 *
 * What breaks: nothing of the network. A part that is not awaited goes on behind ROLLBACK, on a connection that is in the pool again: what it sends would be stored by itself, or in the transaction of
 * the next caller of that connection. A signal that aborts between two statements, and an error that is swallowed, leave a transaction of which a statement is missing. With plain `pg` each of them is stored.
 */

import { type Pool, TransactionUseError } from '@thaw/pg'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { beforeEach, describe, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()
type TransactionClient = Parameters<Parameters<Pool['transaction']>[0]>[0]

beforeEach(() => setting.server.query('TRUNCATE ledger'))

/** node-postgres' own, without its types. */
const { Query } = pg as unknown as { Query: new (text: string, callback: () => void) => object }

const stored = async () => (await setting.server.query('SELECT token FROM ledger ORDER BY token')).rows.map((row) => row['token'])

/** A part, and when it has come to its end, however. */
const PARTS: readonly [string, (client: TransactionClient) => Promise<unknown>][] = [
  ['that has not begun', (client) => client.transaction((inner) => inner.query(INSERT, ['late']))],
  [
    'between its statements',
    (client) =>
      client.transaction(async (inner) => {
        await inner.query('SELECT 1')
        await inner.query(INSERT, ['late'])
        await inner.query(INSERT, ['later'])
      }),
  ],
  [
    'of a part',
    (client) =>
      client.transaction((inner) =>
        inner.transaction(async (innermost) => {
          await innermost.query('SELECT 1')
          await innermost.query(INSERT, ['late'])
        }),
      ),
  ],
]

describe.each(PARTS)('a part that is not awaited, %s', (_name, part) => {
  test.each([
    ['throws', true],
    ['resolves', false],
  ])('stores nothing when the function %s', async (_how, throws) => {
    const pool = setting.thaw({ max: 1 })
    let over: Promise<unknown> = Promise.resolve()
    const whole = pool.transaction(async (client) => {
      await client.query('SELECT 1')
      over = part(client).catch((error: Error) => error)
      if (throws) throw new Error('undone')
    })
    const error = await failure(whole)
    if (throws) expect(error).toMatchObject({ message: 'undone' })
    else expect(error).toBeInstanceOf(TransactionUseError)
    expect(await over).toBeInstanceOf(Error)
    // The next caller of that connection is not disturbed.
    await pool.transaction((client) => client.query(INSERT, ['next']))
    expect(await stored()).toEqual(['next'])
  })
})

test('two parts at once are refused, and of neither anything is stored', async () => {
  const whole = setting.thaw().transaction((client) => {
    const part = (token: string) => client.transaction((inner) => inner.query(INSERT, [token]))
    return Promise.all([part('one'), part('two')])
  })
  expect(await failure(whole)).toBeInstanceOf(TransactionUseError)
  expect(await stored()).toEqual([])
})

test('a part of a part that has failed cannot add to the rest', async () => {
  let over: Promise<unknown> = Promise.resolve()
  const whole = setting.thaw().transaction(async (client) => {
    const part = client.transaction(async (inner) => {
      over = inner
        .transaction(async (innermost) => {
          await innermost.query('SELECT 1')
          await innermost.query(INSERT, ['late'])
        })
        .catch((error: Error) => error)
      throw new Error('undone')
    })
    await part.catch(() => {})
    await over
    await client.query(INSERT, ['rest'])
  })
  expect(await failure(whole)).toBeInstanceOf(TransactionUseError)
  expect(await stored()).toEqual([])
})

test('statements that are not awaited are not sent behind ROLLBACK', async () => {
  const pool = setting.thaw({ max: 1 })
  const whole = pool.transaction((client) => {
    for (const token of ['one', 'two', 'three']) client.query(INSERT, [token]).catch(() => {})
    throw new Error('undone')
  })
  expect(await failure(whole)).toMatchObject({ message: 'undone' })
  await pool.query('SELECT 1')
  expect(await stored()).toEqual([])
})

describe('a signal that aborts before COMMIT is sent', () => {
  test('undoes it, also between two statements', async () => {
    const reason = new Error('enough')
    const controller = new AbortController()
    const whole = setting.thaw().transaction(
      async (client) => {
        await client.query(INSERT, ['before'])
        controller.abort(reason)
      },
      { signal: controller.signal },
    )
    expect(await failure(whole)).toBe(reason)
    expect(await stored()).toEqual([])
  })

  test('undoes it where the function swallows that a statement was not sent', async () => {
    const reason = new Error('enough')
    const controller = new AbortController()
    let runs = 0
    const whole = setting.thaw().transaction(
      async (client) => {
        runs++
        await client.query(INSERT, ['before'])
        controller.abort(reason)
        await client.query(INSERT, ['missing']).catch(() => {})
      },
      { signal: controller.signal },
    )
    expect(await failure(whole)).toBe(reason)
    expect(await stored()).toEqual([])
    expect(runs).toBe(1)
  })
})

test('a query_timeout that the function swallows is what it fails with, and it is not run again', async () => {
  let told: unknown
  let runs = 0
  const whole = setting.thaw().transaction(async (client) => {
    runs++
    await client.query(INSERT, ['before'])
    told = await failure(client.query({ text: 'SELECT pg_sleep(60)', query_timeout: 50 } as never))
  })
  expect(await failure(whole)).toBe(told)
  expect(told).toMatchObject({ name: 'DeadlineError' })
  expect(runs).toBe(1)
  expect(await stored()).toEqual([])
})

test.each([
  ['new Query()', (text: string) => new Query(text, () => {})],
  ['a cursor', (text: string) => new Cursor(text)],
])('COMMIT by %s is refused as by a text', async (_name, query) => {
  const whole = setting.thaw().transaction(async (client) => {
    await client.query(INSERT, ['half'])
    const sent = client.query(query('COMMIT') as never) as unknown as { read?(rows: number): Promise<unknown> }
    await sent.read?.(1).catch(() => {})
    await client.query('SELECT 1')
  })
  expect(await failure(whole)).toBeInstanceOf(TransactionUseError)
  expect(await stored()).toEqual([])
})
