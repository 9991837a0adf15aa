/**
 * `held-pause.test.ts` over WebSockets: a pause of the network, under a client that its caller holds.
 *
 * With Neon's own driver the next statement takes as long, and the transaction is still there; with Thaw the same. Where the connection is really gone, and says
 * nothing, Neon's driver hangs, and with Thaw the statement ends.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import * as stock from '@neondatabase/serverless'
import * as thaw from '@thaw/neon'
import { afterEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { failure } from './setting.ts'

useOneNeon()

/** Beyond the 500 ms for which Thaw trusts a connection. */
const SILENCE_MILLIS = 600
/** Longer than a probe may take on an idle connection. */
const PAUSE_MILLIS = 1500

type Held = Pick<stock.Client, 'query'>

const ends: (() => unknown)[] = []
afterEach(async () => {
  neon.compute.setDelay({})
  for (const end of ends.splice(0)) await end()
})

async function lone(Class: typeof stock.Client, config: object = {}): Promise<Held> {
  const client = new Class({ connectionString: neon.url, ...config })
  client.on('error', () => {})
  ends.push(() => void client.end().catch(() => {}))
  await client.connect()
  return client
}

async function held(Class: typeof stock.Pool): Promise<Held> {
  const pool = new Class({ connectionString: neon.url, max: 1 })
  pool.on('error', () => {})
  const client = await pool.connect()
  client.on('error', () => {})
  ends.push(() => {
    client.release(true)
    return pool.end()
  })
  return client
}

describe.each<[string, () => Promise<Held>]>([
  ['Pool of Neon', () => held(stock.Pool)],
  ['Pool of Thaw', () => held(thaw.Pool as unknown as typeof stock.Pool)],
  ['Client of Neon', () => lone(stock.Client)],
  ['Client of Thaw', () => lone(thaw.Client as unknown as typeof stock.Client)],
])('%s', (_name, hold) => {
  test('keeps its transaction while the network pauses', async () => {
    const client = await hold()
    await client.query('BEGIN')
    await client.query('CREATE TEMPORARY TABLE kept () ON COMMIT DROP')
    await sleep(SILENCE_MILLIS)
    neon.compute.setDelay({ toServerMillis: PAUSE_MILLIS })
    const asked = client.query('SELECT count(*)::int AS rows FROM kept')
    await sleep(PAUSE_MILLIS / 2)
    neon.compute.setDelay({})
    expect((await asked).rows).toEqual([{ rows: 0 }])
    await client.query('COMMIT')
  })
})

test('a client that belongs to no pool, and is silently dropped: ten times probeTimeoutMillis', async () => {
  const client = await lone(thaw.Client as unknown as typeof stock.Client, { probeTimeoutMillis: 200 })
  await client.query('SELECT 1')
  await sleep(SILENCE_MILLIS)
  neon.compute.cut('drop')
  expect(await failure(client.query('SELECT 1'))).toMatchObject({
    kind: 'connection-lost',
    outcome: 'not-executed',
    message: expect.stringContaining('within 2000 ms'),
  })
})

test('a client of its own refuses what is no time', () => {
  expect(() => new thaw.Client({ connectionString: neon.url, probeTimeoutMillis: 0 })).toThrow(expect.objectContaining({ kind: 'option' }))
})
