/** `pool.transaction()`: what crosses the wire, by the proxy's count, and what is stored. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { runInvocation } from '@thaw/core'
import { type FaultProxy, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { roundTripsAt } from '../test/round-trips.ts'
import { CommitRolledBackError, OptionError, Pool, type PoolConfig, TransactionUseError } from './index.ts'

let server: PostgresServer
let proxy: FaultProxy
let pool: Pool

const INSERT = 'INSERT INTO ledger VALUES ($1)'

function createPool(config: PoolConfig = {}): Pool {
  pool = new Pool({ connectionString: proxy.urlFor(server.url), max: 2, hedge: false, trustMillis: 60_000, ...config })
  return pool
}

const roundTrips = (work: () => Promise<unknown>) => roundTripsAt(proxy, work)

async function rows(token: string): Promise<number> {
  return (await server.query('SELECT FROM ledger WHERE token = $1', [token])).rowCount ?? 0
}

beforeAll(async () => {
  server = await startPostgres()
  await server.query('CREATE TABLE ledger (token text NOT NULL)')
})
beforeEach(async () => {
  proxy = await startFaultProxy(server)
  createPool()
})
afterEach(async () => {
  await pool.end({ timeoutMillis: 1000 })
  await proxy.close()
})
afterAll(() => server.close())

describe('round trips', () => {
  const byHand = async (from: stock.Pool, count: number) => {
    const client = await from.connect()
    await client.query('BEGIN')
    for (let n = 0; n < count; n++) await client.query(INSERT, [`hand-${n}`])
    await client.query('COMMIT')
    client.release()
  }

  test.each([1, 3])('%i statements take one more than there are statements, and one less than by hand', async (count) => {
    const plain = new stock.Pool({ connectionString: proxy.urlFor(server.url) })
    await plain.query('SELECT 1')
    expect(await roundTrips(() => byHand(plain, count))).toBe(count + 2)
    await plain.end()
    await pool.query('SELECT 1')
    const work = () =>
      pool.transaction(async (client) => {
        for (let n = 0; n < count; n++) await client.query(INSERT, [`ours-${count}-${n}`])
      })
    expect(await roundTrips(work)).toBe(count + 1)
    expect(await roundTrips(work)).toBe(count + 1)
    expect(await rows(`ours-${count}-0`)).toBe(2)
  })

  test('none where nothing is sent', async () => {
    await pool.query('SELECT 1')
    expect(await roundTrips(() => pool.transaction(() => 7))).toBe(0)
  })
})

describe('a transaction', () => {
  test('is stored when its function resolves, which gives the result', async () => {
    const seen = await pool.transaction(async (client) => {
      await client.query(INSERT, ['stored'])
      expect(await rows('stored')).toBe(0)
      return (await client.query('SELECT count(*)::int AS n FROM ledger WHERE token = $1', ['stored'])).rows
    })
    expect(seen).toEqual([{ n: 1 }])
    expect(await rows('stored')).toBe(1)
    expect(pool.idleCount).toBe(1)
  })

  test('is rolled back when its function throws, and the very error comes out', async () => {
    const mine = new Error('no')
    await expect(
      pool.transaction(async (client) => {
        await client.query(INSERT, ['thrown'])
        throw mine
      }),
    ).rejects.toBe(mine)
    expect(await rows('thrown')).toBe(0)
    expect(pool.idleCount).toBe(1)
  })

  test('fails with the error of the server for the statement, also for the first', async () => {
    for (const first of [[], ['SELECT 1']]) {
      const failing = pool.transaction(async (client) => {
        for (const text of first) await client.query(text)
        await client.query('SELECT 1/0')
      })
      await expect(failing).rejects.toMatchObject({ code: '22012' })
    }
    expect(pool.idleCount).toBe(1)
  })

  test('whose function goes on after a failed statement is an error, with that failure as its cause', async () => {
    const failing = pool.transaction(async (client) => {
      await client.query(INSERT, ['swallowed'])
      await client.query('SELECT 1/0').catch(() => {})
    })
    await expect(failing).rejects.toMatchObject({ kind: 'commit-rolled-back', cause: { code: '22012' } })
    await expect(failing).rejects.toBeInstanceOf(CommitRolledBackError)
    expect(await rows('swallowed')).toBe(0)
  })

  test.each([
    [{ isolation: 'serializable' }, 'serializable', 'off', 'off'],
    [{ isolation: 'repeatable read', readOnly: true }, 'repeatable read', 'on', 'off'],
    [{ isolation: 'serializable', readOnly: true, deferrable: true }, 'serializable', 'on', 'on'],
    [{}, 'read committed', 'off', 'off'],
  ] as const)('has the modes that it is given: %j', async (options, isolation, readOnly, deferrable) => {
    const said = await pool.transaction(async (client) => {
      const { rows: found } = await client.query(
        "SELECT current_setting('transaction_isolation') AS i, current_setting('transaction_read_only') AS r, current_setting('transaction_deferrable') AS d",
      )
      return found
    }, options)
    expect(said).toEqual([{ i: isolation, r: readOnly, d: deferrable }])
  })

  test('takes every form of a statement', async () => {
    const got = await pool.transaction(async (client) => {
      const byCallback = await new Promise((resolve) =>
        client.query('SELECT 1 AS n', (_error: Error, result: stock.QueryResult) => resolve(result.rows)),
      )
      const named = { name: 'it', text: 'SELECT $1::int AS n', values: [2] }
      const twice = [(await client.query(named)).rows, (await client.query(named)).rows]
      const array = (await client.query({ text: 'SELECT 3 AS n', rowMode: 'array' })).rows
      const several = (await client.query('SELECT 4 AS n; SELECT 5 AS n')) as unknown as stock.QueryResult[]
      const together = await Promise.all([client.query('SELECT 6 AS n'), client.query(INSERT, ['forms'])])
      return [byCallback, ...twice, array, several.map((each) => each.rows), together[0].rows]
    })
    expect(got).toEqual([[{ n: 1 }], [{ n: 2 }], [{ n: 2 }], [[3]], [[{ n: 4 }], [{ n: 5 }]], [{ n: 6 }]])
    expect(await rows('forms')).toBe(1)
  })

  test('begins with several at once, and with several in one text', async () => {
    await pool.transaction((client) => Promise.all(['all-1', 'all-2', 'all-3'].map((token) => client.query(INSERT, [token]))))
    expect(await rows('all-3')).toBe(1)
    await pool.transaction(async (client) => {
      await client.query("INSERT INTO ledger VALUES ('text-1'); INSERT INTO ledger VALUES ('text-2')")
    })
    expect(await rows('text-2')).toBe(1)
  })

  test('survives a value that cannot be bound, and goes on', async () => {
    const bad = {
      toPostgres() {
        throw new Error('cannot bind')
      },
    }
    await pool.transaction(async (client) => {
      await expect(client.query('SELECT $1::text', [bad])).rejects.toThrow('cannot bind')
      await client.query(INSERT, ['bound'])
      await expect(client.query('INSERT INTO ledger VALUES ($1)', [bad])).rejects.toThrow('cannot bind')
    })
    expect(await rows('bound')).toBe(1)
  })

  test('knows the names of its prepared statements, after one that failed too', async () => {
    createPool({ max: 1 })
    const wrong = { name: 'n1', text: 'SELECT 1/$1::int AS n' }
    await expect(pool.transaction((client) => client.query({ ...wrong, values: [0] }))).rejects.toMatchObject({ code: '22012' })
    expect(await pool.transaction(async (client) => (await client.query({ ...wrong, values: [1] })).rows)).toEqual([{ n: 1 }])
  })
})

test('a wrapper of `query`, as tracing tools have it, sees each statement of the user, and its end; and nothing that is asked beside it', async () => {
  const seen: string[] = []
  const ended: string[] = []
  const { prototype } = stock.Client as unknown as { prototype: { query: (...args: unknown[]) => unknown } }
  const inner = prototype.query
  prototype.query = function (this: object, ...args: unknown[]): unknown {
    const [config] = args
    const text = typeof config === 'string' ? config : (config as { text: string }).text
    seen.push(text)
    const last = args.at(-1)
    if (typeof last === 'function') args[args.length - 1] = (...results: unknown[]) => [ended.push(text), last(...results)]
    const result = inner.apply(this, args)
    if (result instanceof Promise) result.then(() => ended.push(text))
    return result
  }
  try {
    const lost = proxy.loseNextAnswer({ containing: 'COMMIT' })
    await pool.transaction(async (client) => {
      await client.query(INSERT, ['seen'])
      await client.query('SELECT 1')
    })
    await lost.struck
  } finally {
    prototype.query = inner
  }
  expect(seen).toEqual([INSERT, 'SELECT 1', 'COMMIT'])
  expect(ended).toEqual(seen)
})

describe('a part of a transaction', () => {
  test('is undone alone when it fails, and kept when it does not', async () => {
    await pool.transaction(async (client) => {
      await client.query(INSERT, ['outer'])
      await client.transaction((inner) => inner.query(INSERT, ['inner-kept']))
      await expect(
        client.transaction(async (inner) => {
          await inner.query(INSERT, ['inner-undone'])
          await inner.transaction((deeper) => deeper.query('SELECT 1/0'))
        }),
      ).rejects.toMatchObject({ code: '22012' })
    })
    expect([await rows('outer'), await rows('inner-kept'), await rows('inner-undone')]).toEqual([1, 1, 0])
  })

  test('may be the first thing', async () => {
    await pool.transaction((client) => client.transaction((inner) => inner.query(INSERT, ['first-inner'])))
    expect(await rows('first-inner')).toBe(1)
  })
})

describe('misuse is an error, and nothing is half done', () => {
  test('a client that is used after its function has ended', async () => {
    let kept: stock.PoolClient | undefined
    await pool.transaction(async (client) => {
      kept = client
      await client.query(INSERT, ['kept'])
    })
    const late = kept?.query(INSERT, ['late'])
    await expect(late).rejects.toBeInstanceOf(TransactionUseError)
    await expect(late).rejects.toThrow('after its function had ended')
    expect(await rows('late')).toBe(0)
  })

  test('a function that forgets to await', async () => {
    const forgetful = pool.transaction(async (client) => {
      await client.query(INSERT, ['awaited'])
      void client.query(INSERT, ['forgotten'])
    })
    await expect(forgetful).rejects.toThrow('ended before its statements did')
    expect([await rows('awaited'), await rows('forgotten')]).toEqual([0, 0])
  })

  test.each(['COMMIT', 'BEGIN', 'ROLLBACK', "PREPARE TRANSACTION 'x'"])('%s by hand', async (text) => {
    const byHand = pool.transaction(async (client) => {
      await client.query(INSERT, ['by-hand'])
      await client.query(text)
    })
    await expect(byHand).rejects.toBeInstanceOf(TransactionUseError)
    expect(await rows('by-hand')).toBe(0)
  })

  test.each([
    ['no function', undefined, {}, 'fn'],
    ['an unknown level', () => 1, { isolation: 'snapshot' }, 'isolation'],
    ['a misspelt option', () => 1, { readonly: true }, 'readonly'],
    ['retries that are none', () => 1, { retries: -1 }, 'retries'],
  ])('%s', async (_name, work, options, option) => {
    const bad = pool.transaction(work as never, options as never)
    await expect(bad).rejects.toBeInstanceOf(OptionError)
    await expect(bad).rejects.toMatchObject({ option })
  })

  test('retries where the invocation has no time left', async () => {
    const invocation = { id: 'over', deadlineAt: 0, signal: AbortSignal.abort(new Error('over')) }
    const over = runInvocation(
      invocation,
      () => new AsyncLocalStorage(),
      () => pool.transaction((client) => client.query(INSERT, ['over']), { retries: 2 }),
    )
    await expect(over).rejects.toMatchObject({ kind: 'option', option: 'retries' })
    expect(await rows('over')).toBe(0)
  })

  test('once and a key inside', async () => {
    const inside = pool.transaction((client) => client.query({ text: INSERT, values: ['x'], once: true } as never))
    await expect(inside).rejects.toMatchObject({ kind: 'option', option: 'once' })
  })
})
