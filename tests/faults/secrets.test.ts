/**
 * Nothing secret leaves: not in an error, not in what it was caused by, not in an event.
 *
 * Every error and every event of the public API is made for real, by a pool that is full of recognisable secrets. Then each is looked through as
 * loggers and error trackers do it: message, stack, JSON, and util.inspect to the last hidden property.
 */

import { inspect } from 'node:util'
import type { ErrorKind } from '@thaw/core'
import { Pool, type PoolConfig, type ThawEvent } from '@thaw/pg'
import { createFakeClock, failDns } from '@thaw/testkit'
import pg from 'pg'
import { afterEach, beforeAll, expect, test } from 'vitest'
import { activeBackends, failure, INSERT, useSetting } from './setting.ts'
import { until } from './until.ts'

const SECRET = 'geheim'
const PASSWORD = `${SECRET}-password`
const VALUE = `${SECRET}-value`
/** All kinds that this package can throw. A new one is to be made here as well. */
const KINDS: readonly ErrorKind[] = [
  'acquire-timeout',
  'commit-rolled-back',
  'connect',
  'connection-lost',
  'deadline',
  'idempotency-key',
  'option',
  'outcome-unknown',
  'transaction-open',
  'transaction-use',
]
/** Needs a replica that never confirms: see transactions.test.ts. */
const ELSEWHERE: readonly ErrorKind[] = ['replication-unconfirmed']

const setting = useSetting({ tls: true })
const seen = new Map<string, unknown[]>()

function keep(name: string, value: unknown): void {
  seen.set(name, [...(seen.get(name) ?? []), value])
}

/** Notes what is thrown, under its kind. */
async function note(work: Promise<unknown> | (() => unknown)): Promise<void> {
  const error = await failure((async () => (typeof work === 'function' ? work() : work))())
  keep((error as { kind?: string }).kind ?? `server ${error.code}`, error)
}

/** A pool whose every secret is recognisable: in a URL, or as options, or from a function; a key for TLS, and parameters. */
function secretPool(config: PoolConfig = {}): Pool {
  const { host, port } = setting.proxy
  const ways: PoolConfig[] = [
    { connectionString: `postgres://leaky:${PASSWORD}@${host}:${port}/postgres` },
    { connectionString: undefined, host, port, user: 'leaky', password: PASSWORD, database: 'postgres' },
    { connectionString: undefined, host, port, user: 'leaky', password: async () => PASSWORD, database: 'postgres' },
  ]
  // What a URL says wins.
  const isSpecial = ['host', 'port', 'password', 'database'].some((option) => option in config)
  const pool = setting.thaw({ ...ways[isSpecial ? 1 : pools++ % ways.length], ...config })
  pool.on('error', (error) => keep('event error', error))
  return pool
}
let pools = 0

/** Everything that a program could print of it. What pg-pool's `error` event brings along, the client, hides its password. */
function printed(value: unknown): string {
  const error = value as Error & { client?: unknown }
  const showHidden = error.client === undefined
  return [
    String(value),
    error.stack,
    JSON.stringify(value),
    JSON.stringify(value, Object.getOwnPropertyNames(value)),
    inspect(value, { depth: 20, showHidden, getters: showHidden, maxArrayLength: null, maxStringLength: null }),
    error.cause === undefined ? '' : printed(error.cause),
  ].join('\n')
}

beforeAll(async () => {
  await setting.server.query(`CREATE ROLE leaky LOGIN SUPERUSER PASSWORD '${PASSWORD}'`)
})
afterEach(() => {
  for (const event of setting.events) keep(`event ${event.type}`, event)
})

test('options that are refused', async () => {
  const { proxy } = setting
  const url = `postgres://leaky:${PASSWORD}@${proxy.host}:${proxy.port}/postgres`
  await note(() => new Pool(url as PoolConfig))
  for (const option of ['max', 'trustMillis', 'probeTimeoutMillis', 'releaseTimeoutMillis', 'keepOnSqlError', 'clock', 'idleTimeoutMillis'])
    await note(() => new Pool({ [option]: url } as PoolConfig))
  await note(() => new Pool({ [`trustMillis${PASSWORD}`.slice(0, 12)]: PASSWORD } as PoolConfig))
  await note(secretPool().query({ text: INSERT, values: [VALUE], signal: PASSWORD as never }))
  await note(async () => secretPool().end({ timeoutMillis: PASSWORD as never }))
})

test('connections that cannot be had', async () => {
  await note(secretPool({ password: `${PASSWORD}-wrong` }).query(INSERT, [VALUE]))
  await note(secretPool({ database: 'nowhere' }).query(INSERT, [VALUE]))
  await note(secretPool({ ssl: { ca: setting.server.ca, key: `${SECRET}-key`, passphrase: PASSWORD } }).query(INSERT, [VALUE]))
  await note(secretPool({ ssl: { ca: 'no certificate', servername: 'elsewhere' } }).query(INSERT, [VALUE]))
  using dns = failDns({ host: 'db.thaw.test', times: 100 })
  await note(secretPool({ host: 'db.thaw.test' }).query(INSERT, [VALUE]))
  dns.restore()
  const pool = secretPool({ max: 1, connectionTimeoutMillis: 1000 })
  const client = await pool.connect()
  await note(pool.query(INSERT, [VALUE]))
  client.release()
  setting.proxy.refuse()
  await note(secretPool({ port: 1 }).query(INSERT, [VALUE]))
  setting.proxy.cut('rst')
  await note(secretPool({ connectionTimeoutMillis: 100 }).query(INSERT, [VALUE]))
})

test('statements that are lost', async () => {
  const pool = secretPool({ max: 1 })
  await pool.query('SELECT $1::text', [VALUE])
  for (const statement of [INSERT, 'SELECT upper($1)', 'DO $$BEGIN END$$']) {
    const client = await pool.connect()
    const lost = setting.proxy.loseNextAnswer({ minBytes: 20 })
    await note(client.query(statement, statement.includes('$1') ? [VALUE] : []))
    await lost.struck
    client.release(true)
  }
  const lost = setting.proxy.loseNextAnswer({ containing: 'ledger' })
  await note(pool.query(INSERT, [VALUE]))
  await lost.struck
  await note(pool.query({ text: 'SELECT pg_sleep(60), $1::text', values: [VALUE], query_timeout: 50 }))
  await note(
    pool.query({ text: `${INSERT.replace('VALUES ($1)', 'SELECT $1::text FROM pg_sleep(60)')}`, values: [VALUE], query_timeout: 50 }),
  )
  const running = note(pool.query('INSERT INTO ledger SELECT $1::text FROM pg_sleep(61)', [VALUE]))
  const [pid] = await activeBackends(setting.server, 1, 'pg_sleep(61)')
  await setting.server.query('SELECT pg_terminate_backend($1)', [pid])
  await pool.end({ timeoutMillis: 500 })
  await running
})

test('transactions that come to nothing', async () => {
  const pool = secretPool({ max: 1 })
  await note(pool.query(`BEGIN; INSERT INTO ledger VALUES ('${VALUE}')`))
  const client = await pool.connect()
  await client.query('BEGIN')
  await note(client.query('SELECT 1 / 0'))
  await note(client.query('COMMIT'))
  client.release()
  await note(pool.transaction((own) => own.query('COMMIT')))
  await pool.createIdempotencyTable()
  const idempotencyKey = 'order-17'
  await pool.query({ text: INSERT, values: [VALUE], idempotencyKey })
  await note(pool.query({ text: INSERT, values: [`${VALUE}-other`], idempotencyKey }))
})

test('the events of a fleet', async () => {
  // So many that the four that sleep are no crowd: or else they would give up their connections.
  const fleet = { name: 'leaky', sessions: 6 }
  const sleeping = [1, 2, 3, 4].map(() => secretPool({ fleet, max: 1, idleTimeoutMillis: 0 }))
  for (const pool of sleeping) await pool.query('SELECT $1::text', [VALUE])
  // Its lease is 1.5 s.
  const asleep = `SELECT FROM pg_stat_activity WHERE application_name = 'fleet:leaky' AND clock_timestamp() - state_change > interval '1.6 s'`
  await until('all are asleep', async () => (await setting.server.query(asleep)).rowCount === 4)
  await secretPool({ fleet, max: 1 }).query('SELECT 1')
  await until('some are ended', () => setting.events.some(({ type }) => type === 'evicted'))
  await secretPool({ fleet: { name: 'leaky', sessions: 10_000 } }).query('SELECT 1')
  await until('that is above the limit', () => setting.events.some(({ type }) => type === 'fleetTrouble'))
})

test('that the server keeps losing what was prepared', async () => {
  const pool = secretPool({ max: 1, prepare: 1 })
  for (let turn = 0; turn < 12; turn++) {
    for (let use = 0; use < 3; use++) await pool.query('SELECT $1::text', [VALUE])
    await pool.query('DEALLOCATE ALL')
  }
  await until('it prepares no more', () => pool.stats().prepareStopped > 0)
})

test('every event', async () => {
  const clock = createFakeClock()
  const pool = secretPool({ max: 2, clock })
  await pool.query(`SET application_name = '${VALUE}'`)
  await pool.query('SELECT 1')
  clock.freeze(5_000, { stops: 'mono' })
  const client = await pool.connect()
  client.release()
  setting.proxy.cut('rst')
  await until('the connection is known to be dead', () => pool.totalCount === 0)
  setting.proxy.refuse()
  const call = pool.query('SELECT 1')
  await until('a dial has failed', () => pool.stats().retried > 0)
  await setting.proxy.accept()
  await clock.advanceAsync(1000)
  await call
  const lost = setting.proxy.loseNextAnswer({ containing: 'upper' })
  await pool.query('SELECT upper($1)', [VALUE])
  await lost.struck
  await pool.end()
  keep('event stats', pool.stats())
})

test('in none of them is a secret', () => {
  const types = Object.keys(new Pool().stats()).filter((name) => !['total', 'idle', 'waiting', 'generation'].includes(name))
  expect([...seen.keys()]).toEqual(expect.arrayContaining([...KINDS, ...types.map((type) => `event ${type as ThawEvent['type']}`)]))
  expect(ELSEWHERE).toHaveLength(1)
  // The search finds what hides.
  expect(printed(Object.assign(new Error('x'), { of: new pg.Client({ password: PASSWORD }) }))).toContain(SECRET)
  const leaks = [...seen].flatMap(([name, values]) =>
    values.filter((value) => printed(value).includes(SECRET)).map((value) => [name, String(value)]),
  )
  expect(leaks).toEqual([])
})
