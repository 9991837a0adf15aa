/** What Thaw sends of its own, through PgBouncer in both of its modes; in transaction mode with a single session at the server. */

import { type PgBouncer, type PostgresServer, startPgBouncer, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, describe, test } from 'vitest'
import { HALF_PROMISES } from '../poolers/half-promises.ts'
import { LEFT_PROMISES } from '../poolers/left-promises.ts'
import { ONCE_PROMISES } from '../poolers/once-promises.ts'
import { PROMISES } from '../poolers/promises.ts'
import { SILENCE_PROMISES } from '../poolers/silence-promises.ts'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())

describe.each(['transaction', 'session'] as const)('in %s mode', (mode) => {
  let pooler: PgBouncer | undefined

  beforeAll(async () => {
    pooler = await startPgBouncer(server, { mode, sessions: mode === 'transaction' ? 1 : 20 })
  })
  afterAll(() => pooler?.close())

  test.each(Object.entries({ ...PROMISES, ...ONCE_PROMISES }))('%s', (_name, keep) => keep(pooler as PgBouncer, server))
})

describe.each(['transaction', 'session'] as const)('in %s mode, with a session for each', (mode) => {
  test.each(Object.entries({ ...SILENCE_PROMISES, ...HALF_PROMISES, ...LEFT_PROMISES }))('%s', async (_name, keep) => {
    await using pooler = await startPgBouncer(server, { mode, sessions: 70 })
    await keep(pooler, server)
  })
})
