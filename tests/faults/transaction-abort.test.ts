/**
 * A `signal` that aborts a `pool.transaction()` whose function waits for something else than a statement, or the deadline of its invocation, on both drivers.
 *
 * What breaks: nothing of the network. With plain `pg` the backend stays idle in its transaction, and keeps its locks, for as long as the function waits. With Thaw the transaction is undone at
 * once, and its caller is told.
 */

import { type LambdaContext, withThaw } from '@thaw/lambda'
import { Pool as NeonPool } from '@thaw/neon'
import { DeadlineError, Pool } from '@thaw/pg'
import Cursor from 'pg-cursor'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { failure } from './setting.ts'

useOneNeon()

type Client = Parameters<Parameters<Pool['transaction']>[0]>[0]

let pool: Pool
let controller: AbortController

const reason = new Error('enough')
const abort = () => controller.abort(reason)
const never = new Promise<never>(() => {})

beforeAll(async () => {
  await neon.postgres.query('CREATE TABLE held (n int)')
  await neon.postgres.query('INSERT INTO held VALUES (0)')
})
beforeEach(() => {
  controller = new AbortController()
})
afterEach(() => pool.end({ timeoutMillis: 1000 }))

/** The row is free again, and as it was. Waits for the lock. */
const free = async () => (await neon.postgres.query('UPDATE held SET n = n RETURNING n')).rows

const UPDATE = 'UPDATE held SET n = n + 1'

/** What its function waits for. The signal aborts when it does. */
const WAITS: readonly [string, (client: Client) => unknown][] = [
  ['for nothing that comes', abort],
  ['later on', () => void setTimeout(abort)],
  [
    'in a part',
    (client) =>
      client.transaction(async (part) => {
        await part.query(UPDATE)
        abort()
        await never
      }),
  ],
  [
    'with a cursor open',
    async (client) => {
      await client.query(new Cursor('SELECT generate_series(1, 9)')).read(1)
      abort()
    },
  ],
  [
    'behind a statement that it ended',
    async (client) => {
      setTimeout(abort)
      await failure(client.query('SELECT pg_sleep(60)'))
    },
  ],
]

describe.each([
  ['@thaw/pg', () => new Pool({ connectionString: neon.postgres.url, max: 1 })],
  ['@thaw/neon', () => new NeonPool({ connectionString: neon.url, max: 1 }) as unknown as Pool],
])('%s', (_driver, create) => {
  test.each(WAITS)('a function that waits %s', async (_what, wait) => {
    pool = create()
    let runs = 0
    const work = pool.transaction(
      async (client) => {
        runs++
        await client.query(UPDATE)
        await wait(client)
        await never
      },
      { signal: controller.signal },
    )
    expect(await failure(work)).toBe(reason)
    expect(await free()).toEqual([{ n: 0 }])
    expect([runs, (await pool.query('SELECT 1')).rowCount]).toEqual([1, 1])
  })

  test('what it sends afterwards rejects with the reason, and is not sent', async () => {
    pool = create()
    let goOn: (value?: unknown) => void = () => {}
    const paused = new Promise((resolve) => {
      goOn = resolve
    })
    const told: Promise<Error[]> = new Promise((resolve) => {
      const work = async (client: Client) => {
        await client.query(UPDATE)
        abort()
        await paused
        const late = [client.query(UPDATE), client.transaction((part) => part.query(UPDATE)), client.query(new Cursor(UPDATE)).read(1)]
        resolve(Promise.all(late.map(failure)))
        throw new Error('mine')
      }
      void failure(pool.transaction(work, { signal: controller.signal })).then(goOn)
    })
    expect(await told).toEqual([reason, reason, reason])
    expect(await free()).toEqual([{ n: 0 }])
  })

  test.each(['for nothing that comes', 'in a part'])('the deadline of its invocation ends a function that waits %s', async (what) => {
    pool = create()
    const wait = WAITS.find(([name]) => name === what)?.[1]
    const work = async (client: Client) => {
      await client.query(UPDATE)
      await wait?.(client)
      await never
    }
    const handler = withThaw((_event: unknown, _context: LambdaContext) => pool.transaction(work))
    const deadlineAt = Date.now() + 1500
    const context = { awsRequestId: 'one', getRemainingTimeInMillis: () => deadlineAt - Date.now() } as LambdaContext
    expect(await failure(handler({}, context))).toBeInstanceOf(DeadlineError)
    expect(await free()).toEqual([{ n: 0 }])
    expect((await pool.query('SELECT 1')).rowCount).toBe(1)
  })

  test('a function that ends in time leaves no listener', async () => {
    pool = create()
    let listeners = 0
    const { signal } = controller
    const { addEventListener, removeEventListener } = signal
    signal.addEventListener = (...values: unknown[]) => {
      listeners++
      addEventListener.apply(signal, values as never)
    }
    signal.removeEventListener = (...values: unknown[]) => {
      listeners--
      removeEventListener.apply(signal, values as never)
    }
    await pool.transaction(async () => 1, { signal })
    expect(listeners).toBe(0)
  })
})
