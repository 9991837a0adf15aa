/**
 * What a caller gives `pool.query()` may throw when it is read: a getter, a Proxy. Plain pg rejects that call with what was thrown, and goes on. So must Thaw, at
 * whichever reading it throws.
 */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
import type stock from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Pool } from './index.ts'

const TEXT = 'select $1::int as n'
const OK = [{ n: 2 }]

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})

afterAll(() => server.close())

type Config = stock.QueryConfig

/** Throws at the reading of that number, and at those behind it. */
function throwing(key: string, nth = 1): Config {
  const given: Record<string, unknown> = { text: TEXT, values: [1], ...(key === 'idempotencyKey' && { idempotencyKey: false }) }
  const value = given[key]
  let reads = 0
  const get = () => {
    if (++reads >= nth) throw new Error(`cannot read ${key}`)
    return value
  }
  return Object.defineProperty(given, key, { get, set: () => {}, enumerable: true }) as unknown as Config
}

const outcomeOf = (call: Promise<stock.QueryResult>) =>
  call.then(
    ({ rows }) => rows,
    ({ message }: Error) => message,
  )

interface State {
  readonly config?: object
  prepare?(pool: stock.Pool): Promise<unknown>
}

/** What has been learned by then, and how many are at work, decide which way a statement goes. */
const warm: State['prepare'] = async (pool) => {
  for (let turn = 0; turn < 12; turn++) await Promise.all([pool.query(TEXT, [1]), pool.query(TEXT, [2])])
}

const STATES: Readonly<Record<string, State>> = {
  cold: {},
  warm: { prepare: warm },
  'warm, not shared': { config: { share: false }, prepare: warm },
  'warm, shared': { config: { share: true }, prepare: warm },
  'cold, prepared': { config: { prepare: 1, share: false } },
  'warm, prepared': { config: { prepare: 1 }, prepare: warm },
  'behind a probe': { config: { trustIdleMillis: 0 }, prepare: warm },
}

const KEYS = ['text', 'values', 'name', 'rows', 'rowMode', 'types', 'binary', 'portal', 'queryMode', 'query_timeout']
const THAWS_OWN = ['signal', 'once', 'idempotencyKey', 'idempotent', 'submit']

async function withPool(state: State, work: (pool: stock.Pool) => Promise<void>): Promise<void> {
  const pool = new Pool({ connectionString: server.url, max: 1, ...state.config })
  try {
    await state.prepare?.(pool)
    await work(pool)
    expect(await outcomeOf(pool.query(TEXT, [2]))).toEqual(OK)
    expect(pool.totalCount).toBe(1)
  } finally {
    await pool.end({ timeoutMillis: 1000 })
  }
}

test.each(Object.keys(STATES))('a getter throws, %s: its caller alone is told', (name) =>
  withPool(STATES[name] as State, async (pool) => {
    for (const key of [...KEYS, ...THAWS_OWN]) {
      for (let nth = 1; nth < 12; nth++) {
        const calls = [pool.query(throwing(key, nth)), pool.query(TEXT, [2])]
        const [own, other] = await Promise.all(calls.map(outcomeOf))
        expect([other, key, nth]).toEqual([OK, key, nth])
        // Or it was read less often.
        expect([`cannot read ${key}`, [{ n: 1 }]]).toContainEqual(own)
        if (nth === 1 && key !== 'idempotent') expect(own).toBe(`cannot read ${key}`)
        if (typeof own !== 'string') break
      }
    }
  }),
)

test.each(['cold', 'warm'])('a Proxy that is revoked while its statement waits, or that traps its keys, %s', (name) =>
  withPool(STATES[name] as State, async (pool) => {
    const { proxy, revoke } = Proxy.revocable({ text: TEXT, values: [1] }, {})
    const held = await pool.connect()
    const waiting = outcomeOf(pool.query(proxy))
    const trapped = outcomeOf(pool.query(new Proxy({ text: TEXT, values: [1] }, { ownKeys: () => fail('keys'), get: () => fail('trap') })))
    revoke()
    held.release()
    expect(await waiting).toMatch(/revoked/)
    expect(await trapped).toBe('trap')
  }),
)

test('with a callback: it is called, in a later tick', () =>
  withPool({ config: { prepare: 1 } }, async (pool) => {
    for (const key of ['text', 'signal', 'once']) {
      let isReturned = false
      const told = new Promise((resolve) => {
        pool.query(throwing(key), (error) => resolve([isReturned, error.message]))
      })
      isReturned = true
      expect(await told).toEqual([true, `cannot read ${key}`])
    }
  }))

function fail(message: string): never {
  throw new Error(message)
}
