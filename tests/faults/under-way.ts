/** The fault matrix with eight reads under way: its cells, and how one is run. */

import { setTimeout as sleep } from 'node:timers/promises'
import { startFaultProxy } from '@thaw/testkit'
import { countRows, countSessions, FREEZE_MILLIS, launch, openOrder, type Stage } from './cell.ts'
import type { Audit, BurstOrder, CallReport, Silence } from './child.ts'
import { FAULTS, type Scene, type Struck } from './faults.ts'
import type { Cell } from './matrix.ts'
import { crossProduct, pairwise } from './pairwise.ts'
import { complaints } from './verdict.ts'

/** `kind`: of the call that comes when the fault has struck. `idle`: the connections on which the eight are under way, and no more may be opened. */
const OTHERS: { readonly [Name in 'kind' | 'idle' | 'wire' | 'clock']: readonly Cell[Name][] } = {
  kind: ['read', 'write', 'transaction'],
  idle: [1, 2, 8],
  wire: ['plain', 'TLS'],
  clock: ['clock running', 'clock stopped'],
}

const RACED = { kind: 'read', idle: 8, wire: 'plain', clock: 'clock running' } as const

/** Neither side is told: what was sent has arrived, and perhaps no other byte is. So none is lost, and what was struck is seen in the proxy. */
const UNSEEN = /at the next byte$|silently dropped$/
/** Longer than any call may take on Thaw. */
const CAP_MILLIS = 40_000
const END_MILLIS = 20_000

/** The whole cross product with `full`. Or else each fault once, with the pairs of all others in turn: eight at once take their time. */
export function selectUnderWay(which: string | undefined): Cell[] {
  // Eight on eight: up to eight losses at once are nearly all of the retry budget.
  const others = pairwise({ ...OTHERS, idle: [1, 2] as const })
  const few = FAULTS.map((fault, index) => ({ fault, ...(others[index % others.length] as (typeof others)[number]) }))
  // There, those behind a blocked one are raced on connections that are lost as well.
  const raced = FAULTS.filter(({ name }) => name === 'awake: silently dropped').map((fault) => ({ fault, ...RACED }))
  const rows = which === 'full' ? crossProduct({ fault: FAULTS, ...OTHERS }).filter(isOther) : [...few, ...raced]
  return rows.map((row) => ({ ...row, name: `${row.fault.name} × ${row.kind} × 8 on ${row.idle} × ${row.wire} × ${row.clock}` }))
}

/**
 * The clock of a process that is awake runs. And a read that is alone on a connection whose end is not told hangs, as with plain pg (decisions 60 and 219). On eight connections
 * quick reads leave some of them idle (decision 364): what else is sent within `trustMillis` of their being dropped silently is lost, as it must be.
 */
function isOther({ fault, kind, clock, idle }: Pick<Cell, 'fault' | 'kind' | 'clock' | 'idle'>): boolean {
  const isSentOnTrust = fault.name === 'awake: silently dropped' && kind !== 'read'
  return (fault.frozen || clock === 'clock running') && !(idle === 8 && (fault.name.endsWith('at the next byte') || isSentOnTrust))
}

/** Everything that a user would complain about, one line each. */
export async function complaintsUnderWay(cell: Cell, stage: Stage): Promise<string[]> {
  const { fault, kind, idle } = cell
  const { server, child, id } = stage
  await using proxy = await startFaultProxy(server)
  const uncaughtBefore = child.uncaught.length
  const scene = { server, proxy, child, app: id, idle }
  try {
    const order = await openOrder(cell, stage, proxy)
    // One that was raced on a connection that is lost, too, has been lost twice.
    await child.call('open', { ...order, config: { ...order.config, max: idle, share: true, hedge: false } })
    const reads: BurstOrder = { kind: 'read', tokens: Array.from({ length: 8 }, (_, index) => `${id}-${index}`), capMillis: CAP_MILLIS }
    const letGo = await launch(scene, reads)
    proxy.counters.reset()
    await fallSilent(cell, stage)
    const frozen = sleep(fault.frozen ? FREEZE_MILLIS : 0)
    const struck = await strike(cell, scene)
    const late = child.call<CallReport[]>('burst', { kind, tokens: [`${id}-late`], capMillis: CAP_MILLIS } satisfies BurstOrder)
    await frozen
    if (fault.frozen) await child.thaw()
    await letGo()
    await struck.meanwhile?.()
    const calls = await late
    const eight = await child.call<CallReport[]>('landed')
    await struck.prove()
    const audit = await child.call<Audit>('audit', END_MILLIS)
    const end = await child.call<CallReport>('end', END_MILLIS)
    const sessionsLeft = (await countSessions(scene, 'thaw', struck.orphans ?? 0)) - (struck.orphans ?? 0)
    const uncaught = child.uncaught.slice(uncaughtBefore).map(({ error }) => `${error.name}: ${error.message}`)
    const seen = { calls, flying: [], rows: await countRows(server, id), dials: 0, uncaught, audit, end, sessionsLeft }
    const unserved = eight.filter(({ ended }) => ended !== 'ok')
    return [...unserved.map((call) => `under way: ${JSON.stringify(call)}`), ...complaints(cell, seen, idle)]
  } finally {
    if (child.isFrozen) await child.thaw()
    await child.call('discard')
  }
}

/** A silence is never pretended: the server is asked how old a statement is. */
async function fallSilent({ fault, clock }: Cell, { child }: Stage): Promise<void> {
  if (!fault.frozen) return
  await child.call('fallSilent', { wallMillis: 0, monoMillis: 0, stopMono: clock === 'clock stopped' } satisfies Silence)
  await child.freeze()
}

/** To the strike, the connections are those of now: a new one is opened at once. */
async function strike({ fault }: Cell, scene: Scene): Promise<Struck> {
  const { proxy } = scene
  const now = [...proxy.flows].filter(({ state }) => state !== 'closed')
  let isStriking = true
  const view = Object.create(proxy, { flows: { get: () => (isStriking ? now : proxy.flows) } }) as typeof proxy
  try {
    const struck = await fault.strike({ ...scene, proxy: view })
    if (!UNSEEN.test(fault.name)) return struck
    if (now.some(({ state }) => state !== 'armed' && state !== 'silent')) throw new Error(`${fault.name}: not all connections are struck`)
    return { ...struck, prove() {} }
  } finally {
    isStriking = false
  }
}
