/**
 * More Lambda functions than the server has sessions, and no `withThaw`.
 *
 * What breaks: each function holds its session while it is frozen, when no timer of it runs and it answers no one. With plain `pg` the function
 * that comes last is refused, for as long as the others exist. In a fleet, sessions of frozen functions are ended by others; and where all are
 * frozen, by the server, which was told so by the last one that found it too full.
 */

import { type Lambda, type PostgresServer, startLambda, startPostgres } from '@thaw/testkit'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'

const FUNCTION = new URL('./fleet-function.mjs', import.meta.url)
const SESSIONS = 3

let server: PostgresServer
const lambdas: Lambda[] = []

beforeAll(async () => {
  // Three more are reserved for superusers.
  server = await startPostgres({ settings: { max_connections: SESSIONS + 3 } })
  await server.query("create role app login password 'app'")
})
afterEach(async () => {
  await Promise.all(lambdas.splice(0).map((lambda) => lambda[Symbol.asyncDispose]()))
})
afterAll(() => server.close())

function deploy(driver: 'pg' | 'thaw'): Lambda {
  const url = `postgres://app:app@${server.host}:${server.port}/postgres`
  const lambda = startLambda(FUNCTION, { env: { DRIVER: driver, DATABASE_URL: url }, timeoutMillis: 30_000 })
  lambdas.push(lambda)
  return lambda
}

test('plain pg: the last one is refused', { timeout: 60_000 }, async () => {
  const functions = Array.from({ length: SESSIONS + 1 }, () => deploy('pg'))
  for (const lambda of functions.slice(0, SESSIONS)) {
    expect(await lambda.invoke()).toBe(1)
    await lambda.whenFrozen()
  }
  await expect(functions[SESSIONS]?.invoke()).rejects.toThrow(/remaining connection slots|too many clients/)
})

test('a fleet: each is served, also when all others are frozen, and when it wakes up again', { timeout: 60_000 }, async () => {
  const functions = Array.from({ length: SESSIONS + 1 }, () => deploy('thaw'))
  for (let round = 0; round < 2; round++) {
    for (const lambda of functions) {
      expect(await lambda.invoke()).toBe(1)
      await lambda.whenFrozen()
    }
  }
  expect(functions.map(({ coldStarts }) => coldStarts)).toEqual(functions.map(() => 1))
})
