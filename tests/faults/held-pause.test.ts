/**
 * A pause of the network or of the server, under a client that its caller holds.
 *
 * What breaks: for a second or two nothing gets through (TCP resends what was lost, a machine is moved, a server is stopped). With plain `pg` the next statement takes as
 * long, and the transaction, the locks and the LISTEN of the session are still there. With Thaw the same: a probe that is late is no proof of death. A connection that is
 * really gone, and says nothing, ends the statement all the same, where plain `pg` hangs.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { Client, type ClientConfig } from '@thaw/pg'
import pg from 'pg'
import { afterEach, describe, expect, test } from 'vitest'
import { failure, useSetting } from './setting.ts'
import { until } from './until.ts'

const setting = useSetting()

/** Beyond the 500 ms for which Thaw trusts a connection. */
const SILENCE_MILLIS = 600
/** Longer than a probe may take on an idle connection. */
const PAUSE_MILLIS = 1500

const ends: (() => unknown)[] = []
afterEach(async () => {
  for (const end of ends.splice(0)) await end()
})

function lone(Class: typeof pg.Client, config: ClientConfig = {}): Promise<pg.Client> {
  const client = new Class({ connectionString: setting.proxy.urlFor(setting.server.url), ...config } as pg.ClientConfig)
  client.on('error', () => {})
  ends.push(() => (client as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy())
  return client.connect().then(() => client)
}

async function held(pool: pg.Pool): Promise<pg.PoolClient> {
  const client = await pool.connect()
  client.on('error', () => {})
  ends.push(() => client.release(true))
  return client
}

type Held = Pick<pg.ClientBase, 'on' | 'query'>

const HOLDERS: readonly [name: string, hold: () => Promise<Held>][] = [
  ['pg', () => held(setting.plain())],
  ['Thaw', () => held(setting.thaw())],
  ['Client of pg', () => lone(pg.Client)],
  ['Client of Thaw', () => lone(Client as typeof pg.Client)],
]

/** Nothing gets through for so long: neither on this connection nor on a new one. */
async function networkPauses(): Promise<() => void> {
  setting.proxy.setDelay({ toServerMillis: PAUSE_MILLIS })
  return () => setting.proxy.setDelay({})
}

/** The client's backend stands still, and no other: a server that is asked about it meanwhile says that it rests. */
async function backendPauses(client: Held): Promise<() => void> {
  const { processID } = client as unknown as { processID: number }
  process.kill(processID, 'SIGSTOP')
  const going = sleep(PAUSE_MILLIS + 1000).then(() => process.kill(processID, 'SIGCONT'))
  return () => void going
}

describe.each(HOLDERS)('%s', (_name, hold) => {
  test.each([
    ['the network pauses', networkPauses],
    ['the backend stands still', backendPauses],
  ])('keeps its transaction, its lock and what it listens to while %s', async (_what, pause) => {
    const client = await hold()
    const heard: unknown[] = []
    client.on('notification', ({ payload }) => heard.push(payload))
    await client.query('LISTEN channel')
    await client.query('BEGIN')
    await client.query('SELECT pg_advisory_lock(77)')
    await client.query("INSERT INTO ledger VALUES ('paused')")
    await sleep(SILENCE_MILLIS)
    const go = await pause(client)
    const since = performance.now()
    expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
    expect(performance.now() - since).toBeGreaterThan(PAUSE_MILLIS - 50)
    go()
    expect((await setting.server.query('SELECT pg_try_advisory_lock(77) AS free')).rows).toEqual([{ free: false }])
    await client.query('COMMIT')
    expect(await setting.rows('paused')).toBe(1)
    await setting.server.query("DELETE FROM ledger; NOTIFY channel, 'hello'")
    await until('it hears', () => heard.includes('hello'))
  })
})

describe('a connection that is silently dropped', () => {
  const SOON_MILLIS = 6000

  async function statement(client: Held): Promise<{ error: object; millis: number }> {
    await client.query('BEGIN')
    await sleep(SILENCE_MILLIS)
    setting.proxy.cut('drop')
    const since = performance.now()
    const error = await failure(client.query("INSERT INTO ledger VALUES ('lost')"))
    return { error, millis: performance.now() - since }
  }

  const LOST = { kind: 'connection-lost', reason: 'unsent', outcome: 'not-executed', code: 'ETIMEDOUT', syscall: 'read' }

  test('pg hangs', async () => {
    const client = await held(setting.plain())
    expect(await Promise.race([statement(client), sleep(SOON_MILLIS, 'hangs')])).toBe('hangs')
  })

  test('under a client of a pool: the server is asked, and says that its backend rests', async () => {
    const { error, millis } = await statement(await held(setting.thaw({ max: 1 })))
    expect(error).toMatchObject(LOST)
    expect(millis).toBeLessThan(SOON_MILLIS)
  })

  test.each([
    ['of a pool whose server cannot be asked', (probeTimeoutMillis: number) => held(setting.thaw({ max: 1, probeTimeoutMillis }))],
    ['that belongs to no pool', (probeTimeoutMillis: number) => lone(Client as typeof pg.Client, { probeTimeoutMillis })],
  ])('under a client %s: after ten times probeTimeoutMillis', async (_what, hold) => {
    const client = await hold(200)
    setting.proxy.refuse()
    const { error, millis } = await statement(client)
    expect(error).toMatchObject({ ...LOST, message: expect.stringContaining('within 2000 ms') })
    expect(millis).toBeGreaterThan(1900)
    expect(millis).toBeLessThan(SOON_MILLIS)
  })

  test('once it was released with its statement: after probeTimeoutMillis, as if it were idle', async () => {
    const pool = setting.thaw({ max: 1, probeTimeoutMillis: 400 })
    const client = await pool.connect()
    await client.query('SELECT 1')
    await sleep(SILENCE_MILLIS)
    setting.proxy.cut('drop')
    const lost = failure(client.query('SELECT 1'))
    client.release()
    expect(await lost).toMatchObject({ ...LOST, message: expect.stringContaining('within 400 ms') })
    expect((await pool.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }])
  })
})

test('query_timeout ends a statement that waits for the probe, and no other', async () => {
  const client = await held(setting.thaw())
  await client.query('BEGIN')
  await sleep(SILENCE_MILLIS)
  const go = await networkPauses()
  const since = performance.now()
  const late = failure(client.query({ text: 'SELECT 1', query_timeout: 100 } as pg.QueryConfig))
  const behind = client.query('SELECT 2 AS two')
  expect(await late).toMatchObject({ kind: 'deadline' })
  // The probe alone has a second.
  expect(performance.now() - since).toBeGreaterThan(950)
  expect(performance.now() - since).toBeLessThan(PAUSE_MILLIS)
  expect((await behind).rows).toEqual([{ two: 2 }])
  go()
  await client.query('COMMIT')
})

test.each([{ probeTimeoutMillis: 0 }, { trustMillis: -1 }, { probeTimeoutMilis: 5000 }])('a client of its own refuses %o', (config) => {
  expect(() => new Client(config as ClientConfig)).toThrow(expect.objectContaining({ kind: 'option' }))
})
