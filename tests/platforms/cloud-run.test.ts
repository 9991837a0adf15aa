/**
 * A Cloud Run instance has next to no CPU between requests, here none: it is stopped by SIGSTOP, its connections are reset, and a dozen requests arrive at
 * once. Plain `pg` fails those whose connections had died; Thaw answers all of them, on the five connections of the platform.
 */

import { type FreezableProcess, type PostgresServer, spawnFreezable, startFaultProxy, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLedger } from '../faults/cell.ts'
import type { CallReport } from '../faults/child.ts'
import { until } from '../faults/until.ts'

const CHILD = new URL('../faults/child.ts', import.meta.url)
/** What a service of Cloud Run is told. https://cloud.google.com/run/docs/container-contract#env-vars */
const CLOUD_RUN = { K_SERVICE: 'shop', K_REVISION: 'shop-00001-abc', K_CONFIGURATION: 'shop' }
const TOKENS = Array.from({ length: 12 }, (_, index) => `request-${index}`)
/** The last of them comes when the others have ended. */
const AT_ONCE = TOKENS.length - 1
/** Less than the minute for which an idle connection is kept. */
const SILENCE = { wallMillis: 30_000, monoMillis: 30_000, stopMono: false }

let server: PostgresServer
let child: FreezableProcess

beforeAll(async () => {
  server = await startPostgres()
  await createLedger(server)
  child = await spawnFreezable(CHILD, { env: CLOUD_RUN })
})
afterAll(async () => {
  await child[Symbol.asyncDispose]()
  await server.close()
})

test.for([
  ['pg', 10, 10],
  ['thaw', 5, 0],
] as const)('on %s: %i connections, %i failed requests after a thaw', async ([driver, connections, failed]) => {
  await using proxy = await startFaultProxy(server)
  await child.call('open', { driver, config: { connectionString: proxy.urlFor(server.url) }, idle: 1, ownClock: true })
  try {
    const order = { kind: 'write', tokens: TOKENS, capMillis: 40_000 }
    await child.call<CallReport[]>('burst', order)
    expect(proxy.counters.flowsOpened).toBe(connections)
    await child.call('fallSilent', SILENCE)
    await child.freeze()
    const reports = child.call<CallReport[]>('burst', order)
    expect(proxy.cut('rst')).toBe(connections)
    // An RST that leaves after the thaw would strike a write under way, whose outcome nothing can tell.
    await until('every connection is reset', () => proxy.flows.every(({ state }) => state === 'closed'))
    await child.thaw()
    const failures = (await reports).filter(({ ended }) => ended !== 'ok')
    expect(failures, JSON.stringify(failures)).toHaveLength(failed)
    expect(AT_ONCE).toBeGreaterThan(connections)
  } finally {
    if (child.isFrozen) await child.thaw()
    await child.call('discard')
  }
})
