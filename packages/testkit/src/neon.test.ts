/** The real driver, unmodified and with its own defaults, against a local Neon. */

import { Client, neon as connect, NeonDbError, neonConfig, Pool } from '@neondatabase/serverless'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { failureOf } from '../fixtures/plain-client.ts'
import { type Neon, startNeon } from './neon.ts'
import { waitForSessions } from './sessions.ts'

let neon: Neon

beforeAll(async () => {
  neon = await startNeon()
  Object.assign(neonConfig, neon.driver)
  await neon.postgres.query('CREATE TABLE orders (id int PRIMARY KEY, note text)')
})
afterAll(() => neon.close())
beforeEach(() => neon.postgres.query('TRUNCATE orders'))

const stored = async () => (await neon.postgres.query<{ id: number }>('SELECT id FROM orders ORDER BY id')).rows.map(({ id }) => id)

describe('over HTTP', () => {
  test('values come back as what they are', async () => {
    const sql = connect(neon.url)
    const [row] = await sql`SELECT ${1}::int AS number, ${'a'} AS text, ARRAY[1, 2] AS list, '{"a": [1]}'::jsonb AS json, true AS yes,
      NULL::int AS nothing, 'infinity'::float8 AS most, '2026-01-02T03:04:05Z'::timestamptz AS at`
    expect(row).toEqual({
      number: 1,
      text: 'a',
      list: [1, 2],
      json: { a: [1] },
      yes: true,
      nothing: null,
      most: Number.POSITIVE_INFINITY,
      at: new Date('2026-01-02T03:04:05Z'),
    })
  })

  test('full results and array mode', async () => {
    const sql = connect(neon.url, { fullResults: true, arrayMode: true })
    const result = await sql`INSERT INTO orders VALUES (1, ${'x'}), (2, NULL) RETURNING id, note`
    expect(result).toMatchObject({
      command: 'INSERT',
      rowCount: 2,
      rows: [
        [1, 'x'],
        [2, null],
      ],
      rowAsArray: true,
    })
    expect(result.fields.map(({ name, dataTypeID }) => [name, dataTypeID])).toEqual([
      ['id', 23],
      ['note', 25],
    ])
  })

  test('a transaction keeps its isolation, and is stored as a whole or not at all', async () => {
    const sql = connect(neon.url)
    const settings = await sql.transaction(
      [sql`SHOW transaction_isolation`, sql`SHOW transaction_read_only`, sql`SHOW transaction_deferrable`],
      { isolationLevel: 'Serializable', readOnly: true, deferrable: true },
    )
    expect(settings.map(([row]) => Object.values(row ?? {})[0])).toEqual(['serializable', 'on', 'on'])
    await sql.transaction([sql`INSERT INTO orders VALUES (1)`, sql`INSERT INTO orders VALUES (2)`])
    expect(await failureOf(sql.transaction([sql`INSERT INTO orders VALUES (3)`, sql`INSERT INTO orders VALUES (2)`]))).toBe('23505')
    expect(await stored()).toEqual([1, 2])
  })

  test('an error of the server comes with its fields', async () => {
    await neon.postgres.query('INSERT INTO orders VALUES (1)')
    const error = await connect(neon.url)`INSERT INTO orders VALUES (1)`.catch((reason) => reason)
    expect(error).toBeInstanceOf(NeonDbError)
    expect(error).toMatchObject({ code: '23505', severity: 'ERROR', table: 'orders', constraint: 'orders_pkey' })
    await expect(connect(neon.url).query('SELECT 1; SELECT 2')).rejects.toMatchObject({ code: '42601' })
    await expect(connect(neon.url.replace(/:[^:@]*@/, ':wrong@'))`SELECT 1`).rejects.toMatchObject({ code: '28P01' })
  })

  test('a request that makes no sense is told so', async () => {
    const post = async (headers: Record<string, string>, body = '{"query":"SELECT 1"}') => {
      const response = await fetch(neon.driver.fetchEndpoint, { method: 'POST', headers, body })
      return [response.status, ((await response.json()) as { message: string }).message]
    }
    const login = { 'Neon-Connection-String': neon.url }
    expect(await post({})).toEqual([400, 'invalid header: neon-connection-string'])
    expect(await post({ 'Neon-Connection-String': 'mysql://u:p@h/d' })).toEqual([400, 'incorrect scheme'])
    expect(await post({ ...login, 'Neon-Batch-Isolation-Level': 'Snapshot' }, '{"queries":[]}')).toEqual([400, 'invalid isolation level'])
    expect(await post(login, '{}')).toEqual([400, 'could not parse the HTTP request body'])
  })

  test('a client that disconnects has its statement cancelled', async () => {
    const controller = new AbortController()
    const url = `${neon.url}?application_name=hanging`
    const slow = failureOf(connect(url).query('SELECT pg_sleep(60)', [], { fetchOptions: { signal: controller.signal } }))
    await waitForSessions(neon.postgres, 'hanging', 1)
    controller.abort()
    await slow
    await waitForSessions(neon.postgres, 'hanging', 0)
  })
})

describe('over WebSocket', () => {
  test.for([false, 'password'] as const)('Pool and Client, pipelineConnect %s', async (pipelineConnect) => {
    neonConfig.pipelineConnect = pipelineConnect
    const pool = new Pool({ connectionString: neon.url })
    expect((await pool.query('SELECT $1::int AS id', [1])).rows).toEqual([{ id: 1 }])
    await pool.end()
    const client = new Client(neon.url)
    await client.connect()
    await client.query('BEGIN')
    await client.query('INSERT INTO orders VALUES (1)')
    await client.query('COMMIT')
    await client.end()
    expect(await stored()).toEqual([1])
  })

  test('a wrong password is told by the server', async () => {
    neonConfig.pipelineConnect = false
    const client = new Client(neon.url.replace(/:[^:@]*@/, ':wrong@'))
    client.on('error', () => {})
    expect(await failureOf(client.connect())).toBe('28P01')
  })
})

describe('faults', () => {
  test('a status instead of an answer, before the work and after it', async () => {
    const sql = connect(neon.url)
    neon.answerNext(503)
    await expect(sql`INSERT INTO orders VALUES (1)`).rejects.toThrow('Server error (HTTP status 503)')
    neon.answerNext(502, { when: 'after-work' })
    await expect(sql`INSERT INTO orders VALUES (2)`).rejects.toThrow('Server error (HTTP status 502)')
    expect(await stored()).toEqual([2])
    neon.answerNext(503)
    const client = new Client(neon.url)
    client.on('error', () => {})
    await expect(client.connect()).rejects.toBeDefined()
    expect(neon.counters.answered).toBe(3)
  })

  test('a compute that sleeps ends its sessions, and is woken by who comes next', async () => {
    const pool = new Pool({ connectionString: `${neon.url}?application_name=sleepy` })
    const died = new Promise<{ code?: string }>((resolve) => pool.once('error', resolve))
    await pool.query('SELECT 1')
    await neon.suspend({ wakeMillis: 100 })
    expect((await died).code).toBe('57P01')
    const [[row], { rows }] = await Promise.all([connect(neon.url)`SELECT 1 AS one`, pool.query('SELECT 2 AS two')])
    expect([row, rows[0]]).toEqual([{ one: 1 }, { two: 2 }])
    expect(neon.counters.wakes).toBe(1)
    await pool.end()
  })

  test('a compute that cannot be reached', async () => {
    neon.compute.refuse()
    await expect(connect(neon.url)`SELECT 1`).rejects.toThrow(/HTTP status 500.*Couldn't connect to compute node/)
    neonConfig.pipelineConnect = false
    const client = new Client(neon.url)
    client.on('error', () => {})
    await expect(client.connect()).rejects.toMatchObject({ code: 'XX000', message: "Couldn't connect to compute node" })
    await neon.compute.accept()
  })

  test('a compute that dies under a statement: words without a code', async () => {
    const lost = neon.compute.loseNextAnswer({ containing: 'INSERT' })
    await expect(connect(neon.url)`INSERT INTO orders VALUES (1)`).rejects.toMatchObject({ message: 'connection closed' })
    await lost.struck
    expect(await stored()).toEqual([1])
  })

  test('keep-alive sockets that went stale: plain fetch fails on them', async () => {
    const sql = connect(neon.url)
    const { struck } = neon.network.counters
    const attempt = () =>
      sql`SELECT 1`.then(
        () => 'ok',
        (error: Error) => error.message,
      )
    await attempt()
    neon.network.cut('rst-on-next-byte')
    // undici may open another socket before it takes one again.
    const ends: string[] = []
    while (struck['rst-on-next-byte'] === 0 && ends.length < 10) ends.push(await attempt())
    expect(ends.at(-1)).toContain('fetch failed')
  })
})
