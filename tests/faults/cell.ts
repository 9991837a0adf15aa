/** Runs one cell of the matrix with one driver, and reports what outside observers saw: the server, the proxy, the ledger. */

import { setTimeout as sleep } from 'node:timers/promises'
import { type FaultProxy, type FreezableProcess, type PostgresServer, sessionsOf, startFaultProxy, waitForSessions } from '@thaw/testkit'
import pg from 'pg'
import type { Audit, BurstOrder, CallReport, Driver, OpenOrder, Silence } from './child.ts'
import type { Scene, Struck } from './faults.ts'
import type { Cell } from './matrix.ts'
import { until } from './until.ts'

/** What was seen. */
export interface Observations {
  /** The calls of the request: one for each idle connection at once, then one more. */
  readonly calls: readonly CallReport[]
  /** The call that was under way when the process was frozen. */
  readonly flying: readonly CallReport[]
  /** Rows in the ledger for each token that was written. */
  readonly rows: ReadonlyMap<string, number>
  /** Connections that were opened after the fault. */
  readonly dials: number
  readonly uncaught: readonly string[]
  readonly audit: Audit
  /** What became of `pool.end()`. */
  readonly end: CallReport
  /** Sessions at the server after it, without those that it cannot know to be dead. */
  readonly sessionsLeft: number
}

/** The place where cells run. */
export interface Stage {
  readonly server: PostgresServer
  readonly driver: Driver
  readonly child: FreezableProcess
  /** Distinguishes this run from all others. */
  readonly id: string
}

/** `max` of all pools: no more than the most idle connections, so that each dead one is in a caller's way. */
const MAX = 10
/** Beyond the 500 ms for which Thaw trusts a connection. */
export const FREEZE_MILLIS = 600
/** A silence that is only pretended can be as long as a real one. */
const MINUTE_MILLIS = 60_000
/** Above all ages in a cell: a connection that is dropped for its age proves nothing about the fault. */
const IDLE_TIMEOUT_MILLIS = 120_000
/** For plain pg long enough to call it hanging; for Thaw beyond each of its own limits. */
const CAP_MILLIS: Readonly<Record<Driver, number>> = { pg: 2_000, thaw: 40_000 }
const END_MILLIS: Readonly<Record<Driver, number>> = { pg: 500, thaw: 20_000 }
const FAREWELL_MILLIS = 20_000

/** Creates what cells write to. Once per server. */
export async function createLedger(server: PostgresServer): Promise<void> {
  await server.query('CREATE TABLE ledger (token text NOT NULL); GRANT INSERT ON ledger TO PUBLIC')
  await server.query('CREATE TABLE open_gate (); GRANT SELECT ON open_gate TO PUBLIC')
}

export async function runCell(cell: Cell, stage: Stage): Promise<Observations> {
  const { server, driver, child, id } = stage
  await using proxy = await startFaultProxy(server)
  const scene: Scene = { server, proxy, child, app: id, idle: cell.idle }
  const uncaughtBefore = child.uncaught.length
  try {
    await child.call('open', await openOrder(cell, stage, proxy))
    const isAlone = () => proxy.flows.filter(({ state }) => state !== 'closed').length === cell.idle
    await until('only idle connections are left', isAlone)
    proxy.counters.reset()
    const tokens = Array.from({ length: cell.idle + 1 }, (_, index) => `${id}-${index}`)
    const order: BurstOrder = { kind: cell.kind, tokens, capMillis: CAP_MILLIS[driver] }
    const letGo = cell.fault.midQuery ? await launch(scene, { ...order, tokens: [`${id}-flying`] }) : undefined
    // The statement may have been asked after, on a connection of its own.
    await until('no other connection is open', isAlone)
    const { calls, struck } = await (cell.fault.frozen ? strikeFrozen : strikeAwake)(cell, scene, order, letGo)
    const flying = cell.fault.midQuery ? await child.call<CallReport[]>('landed') : []
    await struck.prove()
    const dials = proxy.counters.flowsOpened
    const audit = await child.call<Audit>('audit', driver === 'pg' ? 500 : 20_000)
    const end = await child.call<CallReport>('end', END_MILLIS[driver])
    const sessionsLeft = (await countSessions(scene, driver, struck.orphans ?? 0)) - (struck.orphans ?? 0)
    const uncaught = child.uncaught.slice(uncaughtBefore).map(({ error }) => `${error.name}: ${error.message}`)
    return { calls, flying, rows: await countRows(server, id), dials, uncaught, audit, end, sessionsLeft }
  } finally {
    if (child.isFrozen) await child.thaw()
    await child.call('discard')
  }
}

export async function openOrder(cell: Cell, { server, driver, id }: Stage, proxy: FaultProxy): Promise<OpenOrder> {
  if (cell.fault.limited) await server.query(`CREATE ROLE "${id}" LOGIN PASSWORD '${server.password}' CONNECTION LIMIT ${cell.idle}`)
  const config = {
    host: cell.fault.byName ? 'localhost' : proxy.host,
    port: proxy.port,
    user: cell.fault.limited ? id : server.user,
    password: server.password,
    database: server.database,
    application_name: id,
    max: MAX,
    idleTimeoutMillis: IDLE_TIMEOUT_MILLIS,
    ...(cell.wire === 'TLS' && server.ca ? { ssl: { ca: server.ca } } : {}),
  }
  return { driver, config, idle: cell.idle, ownClock: !isFreezeReal(cell) }
}

/** A freeze with running clocks is waited for. Any other silence is told to Thaw's clock, if it goes by Thaw's. */
function isFreezeReal(cell: Cell): boolean {
  return cell.fault.frozen && cell.clock === 'clock running'
}

/** Starts statements, which run until they are released: at the server then, whether or not their callers still wait. */
export async function launch({ server, child, app }: Scene, order: BurstOrder): Promise<() => Promise<void>> {
  const holder = new pg.Client(server.url)
  // A cell that fails ends the server under it.
  holder.on('error', () => {})
  await holder.connect()
  const gate = `gate of ${app}`
  await holder.query(`CREATE TABLE "${gate}" (); GRANT SELECT ON "${gate}" TO PUBLIC`)
  if (order.tokens.length > 1) await child.call('teach', { ...order, gate })
  await holder.query(`BEGIN; LOCK TABLE "${gate}"`)
  await child.call('launch', { ...order, gate })
  const waiting = `SELECT FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'`
  await until('the first one runs', async () => ((await holder.query(waiting, [app])).rowCount ?? 0) > 0)
  return () => holder.end()
}

/** The request arrives in the frozen process first, then the fault: plain pg handles it before it hears of any death. */
async function strikeFrozen(
  cell: Cell,
  scene: Scene,
  order: BurstOrder,
  letGo?: () => Promise<void>,
): Promise<{ calls: CallReport[]; struck: Struck }> {
  const { child, idle, fault } = { ...scene, ...cell }
  const isReal = isFreezeReal(cell)
  await child.call('fallSilent', { wallMillis: isReal ? 0 : MINUTE_MILLIS, monoMillis: 0, stopMono: !isReal } satisfies Silence)
  await child.freeze()
  const frozenUntil = performance.now() + FREEZE_MILLIS
  const request = child.call<CallReport[]>('burst', order)
  const struck = await fault.strike({ ...scene, idle })
  await letGo?.()
  if (isReal) await sleep(Math.max(0, frozenUntil - performance.now()))
  await child.thaw()
  const [calls] = await Promise.all([request, struck.meanwhile?.()])
  return { calls, struck }
}

async function strikeAwake(cell: Cell, scene: Scene, order: BurstOrder): Promise<{ calls: CallReport[]; struck: Struck }> {
  const monoMillis = cell.clock === 'clock running' ? MINUTE_MILLIS : 0
  await scene.child.call('fallSilent', { wallMillis: MINUTE_MILLIS, monoMillis, stopMono: false } satisfies Silence)
  const struck = await cell.fault.strike(scene)
  const [calls] = await Promise.all([scene.child.call<CallReport[]>('burst', order), struck.meanwhile?.()])
  return { calls, struck }
}

export async function countSessions({ server, app }: Scene, driver: Driver, orphans: number): Promise<number> {
  const farewell = driver === 'pg' ? 0 : FAREWELL_MILLIS
  const sessions = await waitForSessions(server, app, orphans, farewell).catch(() => sessionsOf(server, app))
  return sessions.length
}

export async function countRows(server: PostgresServer, id: string): Promise<ReadonlyMap<string, number>> {
  const { rows } = await server.query<{ token: string; rows: number }>(
    'SELECT token, count(*)::int AS rows FROM ledger WHERE starts_with(token, $1) GROUP BY token',
    [`${id}-`],
  )
  return new Map(rows.map((row) => [row.token, row.rows]))
}
