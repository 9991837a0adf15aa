/**
 * A connection falls silent, and its server is restarted, or a standby takes its place. Of the new server the connection could know nothing.
 *
 * What breaks: the host dies, or what lies between has swallowed the end of the session. With plain `pg` whatever was sent hangs for ever. With Thaw a connection that knows its server is given up as soon as one
 * is there that cannot run beside it: of the same system and timeline, begun after the session, or of a later timeline. What became of the statement is judged as after any loss.
 */

import { Pool, type PoolConfig } from '@thaw/pg'
import { type PostgresServer, type StandbyServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import { expect, test } from 'vitest'
import { INSERT } from './setting.ts'

const PATIENCE = { timeout: 120_000 }
const late = () => new Promise<string>((resolve) => setTimeout(resolve, 50_000, 'hangs'))
const write = (token: string) => ({ text: INSERT, values: [token] })

interface Case {
  /** What the request that is lost contains. Default: the token. */
  readonly at?: string
  readonly call: (pool: Pool, token: string) => Promise<unknown>
  readonly told: RegExp
}

const STORED = /^stored$/
const CASES: Readonly<Record<string, Case>> = {
  once: { call: (pool, token) => pool.query({ ...write(token), once: true }), told: STORED },
  'a key': { call: (pool, token) => pool.query({ ...write(token), idempotencyKey: token }), told: STORED },
  'a batch': { call: (pool, token) => pool.batch([write(token)]), told: STORED },
  'a batch with once': { call: (pool, token) => pool.batch([write(token)], { once: true }), told: STORED },
  'a batch without a key': { call: (pool, token) => pool.batch([write(token)], { once: false }), told: /^OutcomeUnknownError/ },
  'the first of a transaction': { call: (pool, token) => pool.transaction((client) => client.query(write(token))), told: STORED },
  'the second of a transaction': {
    call: (pool, token) =>
      pool.transaction(async (client) => {
        await client.query('SELECT 1')
        await client.query(write(token))
      }),
    told: STORED,
  },
  'a savepoint': {
    at: 'SAVEPOINT',
    call: (pool, token) => pool.transaction((client) => client.transaction((inner) => inner.query(write(token)))),
    told: STORED,
  },
  COMMIT: { at: 'COMMIT', call: (pool, token) => pool.transaction((client) => client.query(write(token))), told: STORED },
  ROLLBACK: {
    at: 'ROLLBACK',
    call: (pool) =>
      pool.transaction(async (client) => {
        await client.query('SELECT 1')
        throw new Error('own')
      }),
    told: /^Error: own$/,
  },
  'a plain write': { call: (pool, token) => pool.query(write(token)), told: /^OutcomeUnknownError/ },
  'a client of its own': {
    call: async (pool, token) => {
      const client = await pool.connect()
      const error = await client.query(write(token)).catch((each: Error) => each)
      client.release(true)
      throw error
    },
    told: /^OutcomeUnknownError/,
  },
}

type Fault = (server: PostgresServer, proxies: readonly { moveTo(target: PostgresServer | StandbyServer): void }[]) => Promise<unknown>

/** What each was told while all are silent at once. */
async function play(fault: Fault): Promise<Record<string, string>> {
  await using server = await startPostgres({ authentication: 'trust' })
  await server.query('CREATE TABLE ledger (token text NOT NULL)')
  const made = new Pool({ connectionString: server.url })
  await made.createIdempotencyTable()
  await made.end()
  const config: PoolConfig = { max: 1 }
  const calls = await Promise.all(
    Object.entries(CASES).map(async ([name, { at, call }]) => {
      const proxy = await startFaultProxy(server)
      const pool = new Pool({ ...config, connectionString: proxy.urlFor(server.url) })
      // From now on it knows its server.
      await pool.transaction((client) => client.query('SELECT 1'))
      const lost = proxy.loseNextRequest({ containing: at ?? name, cut: 'drop' })
      const told = Promise.race([call(pool, name).then(() => 'stored', String), late()])
      return { name, proxy, lost, told: told.finally(() => pool.end({ timeoutMillis: 1_000 })) }
    }),
  )
  await Promise.all(calls.map(({ lost }) => lost.struck))
  await fault(
    server,
    calls.map(({ proxy }) => proxy),
  )
  const told = await Promise.all(calls.map(async ({ name, told }) => [name, await told] as const))
  await Promise.all(calls.map(({ proxy }) => proxy.close()))
  return Object.fromEntries(told)
}

const expected = Object.fromEntries(Object.entries(CASES).map(([name, { told }]) => [name, expect.stringMatching(told)]))

test.each(['fast', 'immediate'] as const)('the server is restarted (%s)', PATIENCE, async (how) => {
  expect(await play((server) => server.restart(how))).toEqual(expected)
})

test('a standby takes its place at the same address', PATIENCE, async () => {
  let standby: StandbyServer | undefined
  const told = await play(async (server, proxies) => {
    standby = await server.startStandby()
    await standby.catchUp()
    for (const proxy of proxies) proxy.moveTo(standby)
    await standby.promote()
  })
  await standby?.close()
  expect(told).toEqual(expected)
})
