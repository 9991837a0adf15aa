/**
 * A transaction whose only effect is a NOTIFY: it changes no row.
 *
 * What breaks: the connection at COMMIT, before the request arrives, or once the answer has been sent. With plain `pg` the user sees `ECONNRESET` either way. With Thaw the notification is sent once.
 */

import { Pool as NeonPool } from '@thaw/neon'
import type { Pool } from '@thaw/pg'
import pg from 'pg'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { useSetting } from './setting.ts'

const setting = useSetting()
useOneNeon()

const FUNCTION = `CREATE FUNCTION tell(what text) RETURNS void LANGUAGE plpgsql AS 'BEGIN PERFORM pg_notify(''news'', what); END'`
const neonPools: NeonPool[] = []

const drivers = {
  '@thaw/pg': { make: (): Pool => setting.thaw(), url: () => setting.server.url, network: () => setting.proxy },
  '@thaw/neon': { make: () => neonPool() as unknown as Pool, url: () => neon.postgres.url, network: () => neon.compute },
}

function neonPool(): NeonPool {
  const pool = new NeonPool({ connectionString: neon.url })
  neonPools.push(pool)
  return pool
}

beforeAll(async () => {
  await setting.server.query(FUNCTION)
  await neon.postgres.query(FUNCTION)
})
afterAll(() => Promise.all(neonPools.map((pool) => pool.end({ timeoutMillis: 1000 }))))

const STATEMENTS = ["NOTIFY news, 'x'", "SELECT pg_notify('news', 'x')", "SELECT tell('x')", "SELECT 1; NOTIFY news, 'x'"]

describe.each(Object.entries(drivers))('%s', (_name, { make, url, network }) => {
  let heard: (string | undefined)[]
  let listener: pg.Client

  beforeAll(async () => {
    // The setting ends the sessions of all others after each test.
    listener = new pg.Client({ connectionString: url(), application_name: 'thaw-testkit' })
    listener.on('notification', ({ payload }) => heard.push(payload))
    await listener.connect()
    await listener.query('LISTEN news')
  })
  beforeEach(() => {
    heard = []
  })
  afterAll(() => listener.end())

  /** Whatever was sent before arrives before this. */
  async function heardSoFar(): Promise<number> {
    await listener.query("NOTIFY news, 'end'")
    await expect.poll(() => heard).toContain('end')
    return heard.filter((payload) => payload === 'x').length
  }

  describe.each(['loseNextRequest', 'loseNextAnswer'] as const)('COMMIT, %s', (lose) => {
    test.each(STATEMENTS)('a transaction of %s', async (text) => {
      const pool = make()
      const lost = network()[lose]({ containing: 'COMMIT' })
      await pool.transaction((client) => client.query(text))
      await lost.struck
      expect(await heardSoFar()).toBe(1)
    })

    test.each([
      ['once', (pool: Pool) => pool.query({ text: "SELECT tell('x')", once: true })],
      ['a batch, once', (pool: Pool) => pool.batch(['SELECT 1', "NOTIFY news, 'x'"], { once: true })],
      ['behind a read and a savepoint', (pool: Pool) => pool.transaction(behindRead)],
      ['in READ ONLY', (pool: Pool) => pool.transaction((client) => client.query("NOTIFY news, 'x'"), { readOnly: true })],
    ])('%s', async (_what, call) => {
      const lost = network()[lose]({ containing: 'COMMIT' })
      await call(make())
      await lost.struck
      expect(await heardSoFar()).toBe(1)
    })
  })
})

async function behindRead(client: Parameters<Parameters<Pool['transaction']>[0]>[0]): Promise<void> {
  await client.query('SELECT 1')
  await client.transaction((part) => part.query("SELECT tell('x')"))
}
