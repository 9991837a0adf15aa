/**
 * A process that is frozen while reads that share a connection are under way, as a function is that has answered its request.
 *
 * What breaks: the freeze lasts longer than a caller may wait for a connection, and the connection dies meanwhile. A wait behind others is a wait for a
 * connection: time asleep is charged to no caller, and each is answered as on a pool that shares nothing.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { type PostgresServer, spawnFreezable, startFaultProxy, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import type { SharedAsleepOrder } from './shared-asleep-child.ts'

const WAIT_MILLIS = 8000
const FROZEN_MILLIS = WAIT_MILLIS + 1000
/** Each way. */
const DELAY_MILLIS = 40

const CHILD = new URL('./shared-asleep-child.ts', import.meta.url)

useOneNeon()

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())

// Most of the time is spent asleep, which these can do side by side.
test.concurrent.each([
  ['@thaw/pg', 1],
  ['@thaw/pg', 2],
  ['@thaw/neon', 1],
] as const)('%s, max: %i', { timeout: 60_000 }, async (driver, max) => {
  const isNeon = driver === '@thaw/neon'
  const proxy = isNeon ? neon.network : await startFaultProxy(server)
  proxy.setDelay({ toServerMillis: DELAY_MILLIS, toClientMillis: DELAY_MILLIS })
  const where = isNeon ? { connectionString: neon.url, neon: neon.driver } : { connectionString: proxy.urlFor(server.url) }
  const limits = { max, connectionTimeoutMillis: WAIT_MILLIS }
  await using sharing = await spawnFreezable(CHILD)
  await using alone = await spawnFreezable(CHILD)
  const children = [sharing, alone]
  for (const child of children) {
    await child.call('begin', { ...where, ...limits, share: child === sharing } satisfies SharedAsleepOrder)
    await child.freeze()
    // No answer has come: what a connection has just told would be a proof that it is alive.
    proxy.cut('drop')
  }
  await sleep(FROZEN_MILLIS)
  await Promise.all(children.map((child) => child.thaw()))
  const all = [1, 2, 3, 4, 5, 6, 7, 8]
  expect(await Promise.all(children.map((child) => child.call('ended')))).toEqual([all, all])
  if (!isNeon) await proxy.close()
})
