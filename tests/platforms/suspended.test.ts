/**
 * What docs/start/platforms.md says of platforms that have no wrapper. Each in the variables that it sets, with what its network does meanwhile and what its
 * clocks show: the process is stopped by SIGSTOP, the connections die, and a dozen requests arrive. Plain `pg` fails or hangs those whose connections
 * had died; Thaw answers all of them. Cloud Run: cloud-run.test.ts.
 * Railway and Render stop a process that has no connections, and start another.
 */

import { type FreezableProcess, type PostgresServer, spawnFreezable, startFaultProxy, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { createLedger } from '../faults/cell.ts'
import type { CallReport, Driver } from '../faults/child.ts'

const CHILD = new URL('../faults/child.ts', import.meta.url)
const TOKENS = Array.from({ length: 12 }, (_, index) => `request-${index}`)
const THAW_LIMIT_MILLIS = 20_000
/** What hangs, hangs for ever: this is only how long the test looks at it. */
const PG_LIMIT_MILLIS = 1_000

interface Pause {
  readonly platform: string
  readonly env: Readonly<Record<string, string>>
  readonly cut: 'rst-on-next-byte' | 'fin-on-next-byte' | 'drop'
  readonly wallMillis: number
  /** A snapshot of the memory and a closed lid stop the monotonic clock, too. */
  readonly stopMono: boolean
}

const PAUSES: readonly Pause[] = [
  // AWS's NAT gateway has forgotten what was silent for 350 s.
  {
    platform: 'Netlify',
    env: { AWS_LAMBDA_FUNCTION_NAME: 'orders', SITE_NAME: 'shop' },
    cut: 'rst-on-next-byte',
    wallMillis: 200_000,
    stopMono: true,
  },
  // Its load balancer drops what was silent for four minutes, and says nothing.
  {
    platform: 'Azure Functions',
    env: { FUNCTIONS_WORKER_RUNTIME: 'node' },
    cut: 'drop',
    wallMillis: 9_000,
    stopMono: false,
  },
  {
    platform: 'Fly',
    env: { FLY_MACHINE_ID: '1', FLY_APP_NAME: 'shop' },
    cut: 'fin-on-next-byte',
    wallMillis: 8_000,
    stopMono: true,
  },
  { platform: 'a laptop with its lid closed', env: {}, cut: 'drop', wallMillis: 3_600_000, stopMono: true },
]

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
  await createLedger(server)
})
afterAll(() => server.close())

interface Awakening {
  readonly struck: number
  /** What the callers were told. */
  readonly failed: readonly string[]
}

async function pauseAndWake(child: FreezableProcess, driver: Driver, { cut, wallMillis, stopMono }: Pause): Promise<Awakening> {
  await using proxy = await startFaultProxy(server)
  await child.call('open', { driver, config: { connectionString: proxy.urlFor(server.url) }, idle: 1, ownClock: true })
  try {
    const order = { kind: 'read', tokens: TOKENS, capMillis: driver === 'pg' ? PG_LIMIT_MILLIS : THAW_LIMIT_MILLIS }
    await child.call<CallReport[]>('burst', { ...order, capMillis: THAW_LIMIT_MILLIS })
    await child.call('fallSilent', { wallMillis, monoMillis: stopMono ? 0 : wallMillis, stopMono })
    await child.freeze()
    const struck = proxy.cut(cut)
    const reports = child.call<CallReport[]>('burst', order)
    await child.thaw()
    const failed = (await reports).filter(({ ended }) => ended !== 'ok')
    return { struck, failed: failed.map(({ ended, message }) => message ?? ended) }
  } finally {
    if (child.isFrozen) await child.thaw()
    await child.call('discard')
  }
}

test.for(PAUSES)('$platform: no request fails on Thaw after a pause that cost its connections', async (pause) => {
  await using child = await spawnFreezable(CHILD, { env: pause.env })
  const plain = await pauseAndWake(child, 'pg', pause)
  expect(plain.failed).not.toEqual([])
  const thaw = await pauseAndWake(child, 'thaw', pause)
  expect(thaw.struck).toBeGreaterThan(0)
  expect(thaw.failed).toEqual([])
})

test('Fly: connections that have survived a snapshot are used again', async () => {
  await using child = await spawnFreezable(CHILD, { env: { FLY_MACHINE_ID: '1' } })
  await using proxy = await startFaultProxy(server)
  // A probe that is answered late, on a busy machine, would be raced by a new connection.
  const config = { connectionString: proxy.urlFor(server.url), hedge: false }
  await child.call('open', { driver: 'thaw', config, idle: 3, ownClock: true })
  await child.call('fallSilent', { wallMillis: 8_000, monoMillis: 0, stopMono: true })
  await child.freeze()
  await child.thaw()
  const [report] = await child.call<CallReport[]>('burst', { kind: 'read', tokens: ['request'], capMillis: THAW_LIMIT_MILLIS })
  expect(report?.ended).toBe('ok')
  expect(proxy.counters.flowsOpened).toBe(3)
})
