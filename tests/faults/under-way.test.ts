/**
 * The faults of the matrix, with eight reads under way on one shared connection.
 *
 * What breaks: everything in `faults.ts`. The first of the eight waits for a lock, the others wait behind it, and one more call comes when the fault has struck.
 * All nine are answered, each with its own row, and the process has no uncaught error. What plain `pg` makes of the faults is in `matrix.test.ts`.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLedger, launch, openOrder, type Stage } from './cell.ts'
import type { BurstOrder, CallReport } from './child.ts'
import { FAULTS, type Fault, type Scene, type Struck } from './faults.ts'
import { createLanes, createMutex } from './lanes.ts'

const TIMEOUT_MILLIS = 60_000
/** Longer than Thaw trusts a connection. */
const FREEZE_MILLIS = 600
/** What was sent has arrived, and no other byte is: so none is lost. What they struck is seen in the proxy. */
const NO_BYTE_LOST = ['frozen: FIN at the next byte', 'frozen: RST at the next byte']
const LEFT_OUT = [
  // Waits until there is no session. A pool with reads under way has the next one at once. See sharing-trouble.test.ts of @thaw/pg.
  'awake: server closed it',
]

const lanes = createLanes(3)
const exclusively = createMutex()
let shared: PostgresServer
let own: PostgresServer
let runs = 0

beforeAll(async () => {
  ;[shared, own] = await Promise.all([startPostgres({ settings: { max_connections: 200 } }), startPostgres()])
  await Promise.all([createLedger(shared), createLedger(own)])
}, TIMEOUT_MILLIS)

afterAll(async () => {
  await lanes.close()
  await Promise.all([shared.close(), own.close()])
})

describe.concurrent('eight reads under way on one connection', () => {
  for (const fault of FAULTS.filter(({ name }) => !LEFT_OUT.includes(name)))
    it(fault.name, { timeout: TIMEOUT_MILLIS }, async () => {
      const id = `eight-${++runs}`
      const work = () => lanes.use((child) => strike(fault, { server: fault.ownServer ? own : shared, driver: 'thaw', child, id }))
      const { calls, uncaught } = await (fault.ownServer ? exclusively(work) : work())
      expect(calls.filter(({ ended }) => ended !== 'ok')).toEqual([])
      expect(calls).toHaveLength(9)
      expect(uncaught).toEqual([])
    })
})

async function strike(fault: Fault, stage: Stage): Promise<{ calls: CallReport[]; uncaught: unknown[] }> {
  const { server, child, id } = stage
  await using proxy = await startFaultProxy(server)
  const uncaughtBefore = child.uncaught.length
  const scene = { server, proxy, child, app: id, idle: 1 }
  try {
    const order = await openOrder({ name: id, fault, kind: 'read', idle: 1, wire: 'plain', clock: 'clock running' }, stage, proxy)
    await child.call('open', { ...order, ownClock: false, config: { ...order.config, max: 1, share: true } })
    proxy.counters.reset()
    const burst: BurstOrder = { kind: 'read', tokens: [`${id}-last`], capMillis: TIMEOUT_MILLIS / 2 }
    const letGo = await launch(scene, { ...burst, tokens: Array.from({ length: 8 }, (_, index) => `${id}-${index}`) })
    expect(proxy.flows.filter(({ state }) => state !== 'closed')).toHaveLength(1)
    if (fault.frozen) await child.freeze()
    const frozen = sleep(fault.frozen ? FREEZE_MILLIS : 0)
    const struck = await strikeThese(fault, scene)
    const last = child.call<CallReport[]>('burst', burst)
    await frozen
    if (fault.frozen) await child.thaw()
    await letGo()
    await struck.meanwhile?.()
    const calls = [...(await child.call<CallReport[]>('landed')), ...(await last)]
    await struck.prove()
    return { calls, uncaught: child.uncaught.slice(uncaughtBefore) }
  } finally {
    if (child.isFrozen) await child.thaw()
    await child.call('discard')
  }
}

/** To the strike, the connections are those of now: a new one is opened at once. */
async function strikeThese(fault: Fault, scene: Scene): Promise<Struck> {
  const { proxy } = scene
  const now = [...proxy.flows]
  let isStriking = true
  const view = Object.create(proxy, { flows: { get: () => (isStriking ? now : proxy.flows) } }) as typeof proxy
  try {
    const struck = await fault.strike({ ...scene, proxy: view })
    if (!NO_BYTE_LOST.includes(fault.name)) return struck
    expect(now.map(({ state }) => state)).toContain('armed')
    return { ...struck, prove() {} }
  } finally {
    isStriking = false
  }
}
