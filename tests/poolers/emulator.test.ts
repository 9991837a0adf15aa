/**
 * A pooler in transaction mode with one session, which invents pids, and drops what is behind a Sync in the same chunk. What Thaw sends of its own must pass.
 */

import { type PostgresServer, startPooler, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { HALF_PROMISES } from './half-promises.ts'
import { LEFT_PROMISES } from './left-promises.ts'
import { ONCE_PROMISES } from './once-promises.ts'
import { PROMISES } from './promises.ts'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())

test.each(Object.entries({ ...PROMISES, ...ONCE_PROMISES }))('%s', async (_name, keep) => {
  await using pooler = await startPooler(server)
  await keep(pooler, server)
  expect(pooler.bytesDropped).toBe(0)
})

test.each(Object.entries({ ...HALF_PROMISES, ...LEFT_PROMISES }))('%s', async (_name, keep) => {
  await using pooler = await startPooler(server, { sessions: 4 })
  await keep(pooler, server)
})
