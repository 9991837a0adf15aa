/** What Thaw sends of its own, through PgBouncer in both of its modes; in transaction mode with a single session at the server. */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { type AnyPooler, PROMISES } from '../poolers/promises.ts'
import { startPgBouncer } from './pgbouncer.ts'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())

describe.each(['transaction', 'session'] as const)('in %s mode', (mode) => {
  let pooler: AnyPooler & AsyncDisposable

  beforeAll(async () => {
    pooler = await startPgBouncer(server, mode)
  })
  afterAll(() => pooler?.[Symbol.asyncDispose]())

  test.each(Object.entries(PROMISES))('%s', (_name, keep) => keep(pooler, server))
})
