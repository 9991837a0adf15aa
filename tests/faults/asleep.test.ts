/**
 * A process that is frozen while a caller in it waits for a connection.
 *
 * What breaks: the wait is bounded, the clocks go on during the freeze, and at the thaw the time is up, although nothing had a chance to happen.
 * With plain `pg` the caller is rejected at the thaw. With Thaw what is left of a wait is what was left when the process last ran.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { type FaultProxy, type PostgresServer, spawnFreezable, startFaultProxy, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { AsleepOrder } from './asleep-child.ts'
import { neon, useOneNeon } from './one-neon.ts'

/** How long the process is frozen: longer than a caller may wait, which is 1.5 s. */
const FROZEN_MILLIS = 2000
const DELAY_MILLIS = 150

useOneNeon()

let server: PostgresServer
let proxy: FaultProxy

beforeAll(async () => {
  server = await startPostgres()
  proxy = await startFaultProxy(server)
})
beforeEach(async () => {
  proxy.setDelay({ toServerMillis: 0 })
  neon.network.setDelay({ toServerMillis: 0 })
})
afterAll(async () => {
  await proxy.close()
  await server.close()
})

async function frozenWhileItWaits(order: Pick<AsleepOrder, 'driver' | 'isHeldForMillis'>): Promise<string> {
  await using child = await spawnFreezable(new URL('./asleep-child.ts', import.meta.url))
  const isNeon = order.driver.endsWith('neon')
  const where = isNeon ? { connectionString: neon.url, neon: neon.driver } : { connectionString: proxy.urlFor(server.url) }
  await child.call('begin', { ...where, ...order } satisfies AsleepOrder)
  await child.freeze()
  await sleep(FROZEN_MILLIS)
  await child.thaw()
  return await child.call<string>('ended')
}

describe.each([
  ['pg', /timeout exceeded when trying to connect|terminated due to connection timeout/],
  ['@thaw/pg', /^ok$/],
  ['neon', /timeout exceeded when trying to connect|terminated due to connection timeout/],
  ['@thaw/neon', /^ok$/],
] as const)('%s', (driver, said) => {
  test('frozen in the queue, for longer than its caller may wait', async () => {
    expect(await frozenWhileItWaits({ driver, isHeldForMillis: 1000 })).toMatch(said)
  })

  test('frozen in the first connection attempt, for longer than that may take', async () => {
    // Four messages of a login, one after the other: 0.6 s.
    for (const one of [proxy, neon.network]) one.setDelay({ toServerMillis: DELAY_MILLIS })
    expect(await frozenWhileItWaits({ driver })).toMatch(said)
  })
})
