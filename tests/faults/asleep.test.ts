/**
 * A process that is frozen while a caller in it waits for a connection.
 *
 * What breaks: the wait is bounded, the clocks go on during the freeze, and at the thaw the time is up, although nothing had a chance to happen.
 * With plain `pg` the caller is rejected at the thaw, with a pool as with a client of its own. With Thaw what is left of a wait is what was left when the process last ran.
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

async function frozenWhileItWaits(order: Pick<AsleepOrder, 'driver' | 'isHeldForMillis'>): Promise<string[]> {
  await using child = await spawnFreezable(new URL('./asleep-child.ts', import.meta.url))
  const isNeon = order.driver.endsWith('neon')
  const where = isNeon ? { connectionString: neon.url, neon: neon.driver } : { connectionString: proxy.urlFor(server.url) }
  await child.call('begin', { ...where, ...order } satisfies AsleepOrder)
  await child.freeze()
  await sleep(FROZEN_MILLIS)
  await child.thaw()
  return await child.call<string[]>('ended')
}

const TIME_IS_UP = /timeout exceeded when trying to connect|terminated due to connection timeout/

/** What the pool's caller is told, and the two clients of their own. Neon's own WebSocket, which is closed before it is open, gives no reason. */
describe.each([
  ['pg', TIME_IS_UP, /^timeout expired$/],
  ['@thaw/pg', /^ok$/, /^ok$/],
  ['neon', TIME_IS_UP, /^$/],
  ['@thaw/neon', /^ok$/, /^ok$/],
] as const)('%s', (driver, said, saidAlone) => {
  test('frozen in the queue, for longer than its caller may wait', async () => {
    expect(await frozenWhileItWaits({ driver, isHeldForMillis: 1000 })).toEqual([expect.stringMatching(said)])
  })

  test('frozen in the first connection attempt, for longer than that may take', async () => {
    // Four messages of a login, one after the other: 0.6 s.
    for (const one of [proxy, neon.network]) one.setDelay({ toServerMillis: DELAY_MILLIS })
    const all = await frozenWhileItWaits({ driver })
    expect(all).toEqual([said, saidAlone, saidAlone].map((one) => expect.stringMatching(one)))
  })
})
