/** A statement that its bound or its signal ends closes its connection: what waits there is told that, and not the reason of the other. */

import type { PoolClient } from '@neondatabase/serverless'
import { expect, test } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { ConnectionLostError, DeadlineError, Pool } from './index.ts'

useOneNeon()

const SLEEP = { text: 'select pg_sleep(60)', query_timeout: 30 }
const TEXT = 'select $1::text as who'

test.each([{ share: false }, { share: true }])('%o: calls behind a statement of a connect listener are sent again', async (config) => {
  const other = new Pool({ connectionString: neon.url, max: 1 })
  await other.query('drop table if exists told; create table told (who text)')
  const pool = new Pool({ connectionString: neon.url, max: 1, ...config })
  let listeners: Promise<unknown> | undefined
  pool.on('connect', (client: PoolClient) => {
    listeners ??= client.query(SLEEP).catch((error: Error) => error)
  })
  const answers = ['a', 'b', 'c'].map((who) => pool.query(TEXT, [who]))
  const written = pool.query('insert into told values ($1)', ['d'])
  expect((await Promise.all(answers)).map(({ rows }) => rows)).toEqual([[{ who: 'a' }], [{ who: 'b' }], [{ who: 'c' }]])
  expect((await written).rowCount).toBe(1)
  expect(await listeners).toBeInstanceOf(DeadlineError)
  expect((await other.query('select who from told')).rows).toEqual([{ who: 'd' }])
  await other.end()
  await pool.end()
})

test('a statement beside it on a client is told that it was not executed', async () => {
  const pool = new Pool({ connectionString: neon.url, max: 1 })
  for (const by of ['query_timeout', 'signal']) {
    const controller = new AbortController()
    const end = by === 'signal' ? { query_timeout: 0, signal: controller.signal } : {}
    const client = await pool.connect()
    const first = client.query({ ...SLEEP, ...end }).catch((error: Error) => error)
    const second = client.query(TEXT, ['beside']).catch((error: Error) => error)
    if (by === 'signal') controller.abort(new Error('of its own'))
    expect(await second).toBeInstanceOf(ConnectionLostError)
    expect(await second).toMatchObject({ outcome: 'not-executed', code: 'ECONNRESET' })
    expect(await first).not.toBeInstanceOf(ConnectionLostError)
    client.release()
  }
  await pool.end()
})

test('it ends a transaction, which is not run again', async () => {
  const pool = new Pool({ connectionString: neon.url, max: 1 })
  let runs = 0
  const ended = pool.transaction(async (client) => {
    runs++
    await client.query('select 1')
    await Promise.all([client.query(SLEEP).catch(() => {}), client.query(TEXT, ['beside'])])
  })
  await expect(ended).rejects.toBeInstanceOf(DeadlineError)
  expect(runs).toBe(1)
  await pool.end()
})
