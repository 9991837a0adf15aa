/**
 * A function of `pool.transaction()` that goes on when its connection has been lost under a statement.
 *
 * What breaks: the connection. The function catches the error, as it would that of an optional statement, and returns a moment later. With plain `pg` COMMIT then fails
 * at once. So it must with Thaw, which runs the function again: no caller waits for an answer, or for an end, on a connection that has ended.
 */

import type { Socket } from 'node:net'
import { Pool as NeonPool } from '@thaw/neon'
import { ConnectionLostError, Pool as ThawPool } from '@thaw/pg'
import type pg from 'pg'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { failure } from './setting.ts'

useOneNeon()

/** Longer than any test may take: who waits for it fails. */
const NEVER_MILLIS = 600_000

type Client = Parameters<Parameters<ThawPool['transaction']>[0]>[0]

let pool: ThawPool

function openPool(driver: '@thaw/pg' | '@thaw/neon'): ThawPool {
  const config = { max: 1, releaseTimeoutMillis: NEVER_MILLIS }
  const { url } = neon.postgres
  pool =
    driver === '@thaw/pg'
      ? new ThawPool({ connectionString: url, ...config })
      : (new NeonPool({ connectionString: neon.url, ...config }) as unknown as ThawPool)
  pool.on('error', () => {})
  return pool
}

/** Ends the session under a statement. Resolves when the client has seen the end of its connection. */
async function loseUnder(client: Client): Promise<void> {
  const ended = new Promise((resolve) => client.once('end', resolve))
  await client.query('SELECT pg_terminate_backend(pg_backend_pid())').catch(() => {})
  await ended
}

function socketOf(client: Client): Socket {
  return (client as unknown as { connection: { stream: Socket } }).connection.stream
}

/** What a function does with the loss, and goes on. */
const HOW: readonly [string, (client: Client) => Promise<void>][] = [
  ['swallows it', loseUnder],
  ['has it in a part, which it forgives', (client) => client.transaction(loseUnder).catch(() => {})],
  ['has it in a part of a part', (client) => client.transaction((inner) => inner.transaction(loseUnder).catch(() => {})).catch(() => {})],
  // In the same tick: pg has not noticed, and writes nothing to such a socket.
  ['closes its own socket', async (client) => void socketOf(client).destroy()],
  ['ends its own socket', async (client) => void socketOf(client).end()],
  [
    'closes its own socket, and swallows what it sends then',
    async (client) => {
      socketOf(client).destroy()
      await failure(client.query('SELECT 1'))
    },
  ],
  [
    'swallows it, and those of what it sends then',
    async (client) => {
      await loseUnder(client)
      await failure(client.query('SELECT 1'))
      await failure(client.transaction((inner) => inner.query('SELECT 1')))
    },
  ],
]

beforeAll(() => neon.postgres.query('CREATE TABLE stored (token text)'))
beforeEach(() => neon.postgres.query('TRUNCATE stored'))
afterEach(() => pool.end({ timeoutMillis: 1000 }))

const stored = async () => (await neon.postgres.query('SELECT FROM stored')).rowCount

describe.each(['@thaw/pg', '@thaw/neon'] as const)('%s: a function that', (driver) => {
  test.each(HOW)('%s is run again at once', async (_how, lose) => {
    openPool(driver)
    let runs = 0
    const work = pool.transaction(async (client) => {
      await client.query('INSERT INTO stored VALUES ($1)', [`run ${++runs}`])
      if (runs === 1) await lose(client)
      return runs
    })
    // The next caller, who waits for the only connection, is served meanwhile.
    const other: Promise<pg.QueryResult> = pool.query('SELECT 1 AS one')
    expect(await work).toBe(2)
    expect((await other).rows).toEqual([{ one: 1 }])
    expect(await stored()).toBe(1)
  })

  test('swallows that of its first statement is run again', async () => {
    openPool(driver)
    let runs = 0
    const work = pool.transaction(async (client) => {
      if (++runs === 1) await loseUnder(client)
      else await client.query('INSERT INTO stored VALUES (1)')
      return runs
    })
    expect(await work).toBe(2)
    expect(await stored()).toBe(1)
  })

  test('swallows it each time is told of it', async () => {
    openPool(driver)
    const error = await failure(
      pool.transaction(
        async (client) => {
          await client.query('INSERT INTO stored VALUES (1)')
          await loseUnder(client)
        },
        { retries: 1 },
      ),
    )
    expect(error).toMatchObject({ name: ConnectionLostError.name, outcome: 'not-executed', retryable: true })
    expect(await stored()).toBe(0)
  })
})
