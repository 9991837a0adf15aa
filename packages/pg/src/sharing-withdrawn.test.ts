/**
 * Reads that leave a shared connection before they are answered, or before they are sent: aborted by their invocation, refused by the driver.
 *
 * What breaks: nothing of the network. Each other caller gets its own rows, in time.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import { runInvocation } from '@thaw/core'
import stock from 'pg'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createPool, lock, PATIENCE, pool, server, untilLocked, useSharingWorld } from '../test/sharing-world.ts'

useSharingWorld()

type Told = Record<string, unknown>
type Prototype = { submit(this: { values?: unknown[] }, connection: object): unknown }

/** Within an invocation that `controller` ends. */
const within = <Result>(controller: AbortController, work: () => Result): Result =>
  runInvocation(
    { id: 'one', deadlineAt: Number.POSITIVE_INFINITY, signal: controller.signal, scope: undefined },
    () => new AsyncLocalStorage(),
    work,
  )

const ended = (controller: AbortController) => controller.abort(new Error('ended'))

/** One text for all, so that they are a run, or one for each. */
const TEXTS: readonly [string, (name: string) => string][] = [
  ['one text', () => 'select $1::text as who'],
  ['a text each', (name) => `select $1::text as who, '${name}' as own`],
]

describe.each(TEXTS)('%s: an invocation ends while its reads are written', (_what, textOf) => {
  const names = ['a', 'b', 'c', 'd'] as const

  async function run(values: (controller: AbortController) => Partial<Record<string, unknown>>): Promise<Told> {
    createPool()
    for (const name of names) for (let turn = 0; turn < 6; turn++) await Promise.all([1, 2].map(() => pool.query(textOf(name), [name])))
    const controller = new AbortController()
    const own = values(controller)
    const told: Told = {}
    const asked = names.map((name) => {
      const ask = () => pool.query<{ who: string }>(textOf(name), [own[name] ?? name])
      const answer = name === 'b' ? within(controller, ask) : ask()
      return answer.then(
        ({ rows }) => (told[name] = rows[0]?.who),
        (error: Error) => (told[name] = error.message),
      )
    })
    await Promise.all(asked)
    expect((await pool.query(textOf('a'), ['next'])).rows).toMatchObject([{ who: 'next' }])
    return told
  }

  /** A function is sent as the text that it says it is. */
  const acting = (text: string, act: () => void) =>
    Object.assign(() => {}, {
      toString() {
        act()
        return text
      },
    })

  test('by a value of another', PATIENCE, async () => {
    expect(await run((controller) => ({ a: acting('a', () => ended(controller)) }))).toEqual({ a: 'a', b: 'ended', c: 'c', d: 'd' })
  })

  test('by a value of its own', PATIENCE, async () => {
    expect(await run((controller) => ({ b: acting('b', () => ended(controller)) }))).toEqual({ a: 'a', b: 'ended', c: 'c', d: 'd' })
  })

  test.each(['a', 'b'])('by a wrapper around the submit of %s', PATIENCE, async (which) => {
    const { prototype } = (stock as unknown as { Query: { prototype: Prototype } }).Query
    const { submit } = prototype
    onTestFinished(() => {
      prototype.submit = submit
    })
    const told = await run((controller) => {
      prototype.submit = function (connection) {
        if (this.values?.[0] === which) ended(controller)
        return submit.call(this, connection)
      }
      return {}
    })
    expect(told).toEqual({ a: 'a', b: 'ended', c: 'c', d: 'd' })
  })
})

test(
  'the only read of a tick is refused, and a client that was given back is used: it is served, and the pool goes on',
  PATIENCE,
  async () => {
    const run = async (of: Pick<stock.Pool, 'on' | 'query'>) => {
      let made: stock.PoolClient | undefined
      of.on('connect', (client) => {
        made ??= client
      })
      await of.query({ name: 'mine', text: 'select $1::int as n', values: [1] })
      for (let turn = 0; turn < 6; turn++) await Promise.all([1, 2, 3].map((n) => of.query('select $1::int as n', [n])))
      const refused = of
        .query({ name: 'mine', text: 'select $1::int as n, 2 as other', values: [1] })
        .catch((error: Error) => error.message)
      const ping = made?.query('select 7 as n')
      return [await refused, (await ping)?.rows[0]?.n, (await of.query('select $1::int as n', [8])).rows[0]?.n]
    }
    const expected = [expect.stringContaining('Prepared statements must be unique'), 7, 8]
    const plain = new stock.Pool({ connectionString: server.url, max: 1 })
    onTestFinished(() => plain.end())
    expect(await run(plain)).toEqual(expected)
    createPool()
    expect(await run(pool as never)).toEqual(expected)
    await pool.end()
  },
)

test('none goes out behind what its caller no longer waits for', PATIENCE, async () => {
  createPool()
  for (let turn = 0; turn < 6; turn++) await Promise.all([1, 2, 3].map((n) => pool.query('select $1::int as n', [n])))
  const unlock = await lock()
  const head = pool.query('select count(*)::int as n from read_me')
  await untilLocked()
  const controller = new AbortController()
  const left = within(controller, () => pool.query('select $1::int as n', [1])).catch((error: Error) => error.message)
  await new Promise(setImmediate)
  ended(controller)
  expect(await left).toBe('ended')
  const next = pool.query('select $1::int as n', [2])
  expect(pool.waitingCount).toBe(1)
  await unlock()
  expect((await head).rows).toEqual([{ n: 3 }])
  expect((await next).rows).toEqual([{ n: 2 }])
})

test(
  'more than can be answered in time: those that would come too late wait for a connection, and are told in time',
  PATIENCE,
  async () => {
    const SLOW = 'select $1::int as n, pg_sleep(0.03)'
    const run = async (of: Pick<stock.Pool, 'query'>) => {
      for (let turn = 0; turn < 5; turn++) await of.query(SLOW, [0])
      const began = performance.now()
      const answers = await Promise.all(
        Array.from({ length: 60 }, (_, n) =>
          of.query(SLOW, [n]).then(
            () => 0,
            () => performance.now() - began,
          ),
        ),
      )
      return answers.filter((tookMillis) => tookMillis > 0)
    }
    const plain = new stock.Pool({ connectionString: server.url, max: 1, connectionTimeoutMillis: 600 })
    onTestFinished(() => plain.end())
    expect((await run(plain)).length).toBeGreaterThan(20)
    createPool({ connectionTimeoutMillis: 600 })
    const late = await run(pool)
    // On a busy machine each seems to take less than it does, and more of them go out behind others.
    expect(late.length).toBeGreaterThan(10)
    expect(pool.stats()).toMatchObject({ connected: 1 })
  },
)
