/**
 * A password that is rotated under load, by a secrets manager, which needs a moment between ALTER ROLE and handing out the new one.
 *
 * What breaks: in that moment the server refuses every new connection (28P01). With plain `pg` each call that needs one fails. Thaw asks the function once
 * more; and, if this pool has logged in before, again with backoff, because a password that was right this morning is more likely being rotated than wrong.
 */

import { type PoolConfig, Pool as ThawPool } from '@thaw/pg'
import { createFakeClock, type FakeClock, type PostgresServer, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from './until.ts'

/** What a secrets manager hands out. */
interface Secret {
  current: string
  asked: number
}

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())

/** Connections are replaced all the time, as they age in production. */
async function createPool(
  driver: 'pg' | 'thaw',
  role: string,
  options: PoolConfig = {},
): Promise<{ readonly pool: pg.Pool; readonly secret: Secret }> {
  const secret = { current: 'first', asked: 0 }
  await server.query(`CREATE ROLE ${role} LOGIN PASSWORD 'first'`)
  const { host, port, database } = server
  const password = async () => {
    secret.asked++
    return secret.current
  }
  const config = { host, port, database, user: role, password, max: 4, maxUses: 2, connectionTimeoutMillis: 60_000, ...options }
  const pool = driver === 'pg' ? new pg.Pool(config) : new ThawPool(config)
  pool.on('error', () => {})
  return { pool, secret }
}

/** Calls without a pause, by several callers, until it is stopped. */
function load(pool: pg.Pool): { readonly answered: () => number; readonly stop: () => Promise<string[]> } {
  let answered = 0
  let isOver = false
  const failures: string[] = []
  const caller = async () => {
    while (!isOver) {
      await pool.query('SELECT 1').then(
        () => answered++,
        ({ code, message }: Error & { code?: string }) => failures.push(code ?? message),
      )
    }
  }
  const callers = Promise.all([1, 2, 3, 4, 5, 6].map(caller))
  return {
    answered: () => answered,
    async stop() {
      isOver = true
      await callers
      return failures
    },
  }
}

/** Rotates it while calls are made: at the server first, and in the store once the server has refused the old one a few times. */
async function rotate(driver: 'pg' | 'thaw'): Promise<string[]> {
  const { pool, secret } = await createPool(driver, `rotated_${driver}`)
  const calls = load(pool)
  await until('calls are answered', () => calls.answered() > 20)
  await server.query(`ALTER ROLE rotated_${driver} PASSWORD 'second'`)
  const { asked } = secret
  // One of them may have been accepted before.
  await until('the old password was refused', () => secret.asked > asked + 4)
  secret.current = 'second'
  const before = calls.answered()
  await until('calls are answered again', () => calls.answered() > before + 20)
  const failures = await calls.stop()
  await pool.end()
  return failures
}

test('on pg every call fails that needs a connection meanwhile', async () => {
  expect(new Set(await rotate('pg'))).toEqual(new Set(['28P01']))
})

test('on Thaw none fails', async () => {
  expect(await rotate('thaw')).toEqual([])
})

/** Lets time pass, in such steps, until the call has ended. Returns the code of its error. */
async function passing(clock: FakeClock, stepMillis: number, call: Promise<unknown>): Promise<string | undefined> {
  let ended = false
  const code = call
    .then(
      () => 'ok',
      (error: Error & { code?: string; kind?: string }) => error.kind ?? error.code,
    )
    .finally(() => {
      ended = true
    })
  await until('the call has ended', () => {
    if (!ended) clock.advance(stepMillis)
    return ended
  })
  return code
}

test('a password that is refused for as long as a connection is waited for is wrong: from then on its error comes at once', async () => {
  const clock = createFakeClock()
  const { pool, secret } = await createPool('thaw', 'revoked', { clock, maxUses: 1, connectionTimeoutMillis: 5_000 })
  await pool.query('SELECT 1')
  await server.query("ALTER ROLE revoked PASSWORD 'unknown'")
  expect(await passing(clock, 200, pool.query('SELECT 1'))).toBe('acquire-timeout')
  await until('no attempt is left of it', () => pool.totalCount === 0)
  clock.advance(5_000)
  const { asked } = secret
  expect(await passing(clock, 1, pool.query('SELECT 1'))).toBe('28P01')
  expect(secret.asked).toBeLessThanOrEqual(asked + 2)
  await pool.end()
})
