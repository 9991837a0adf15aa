/** More runtimes than the server has sessions, and no pooler. Beside plain `pg`; and a fleet that wakes up at once after an outage. */

import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { startPostgres } from '@thaw/testkit'
import { type FleetPoint, plotFleet } from './fleet-plot.ts'
import { type FleetCase, type FleetResult, playFleet } from './fleet-run.ts'
import { listFailures, runTests } from './long-tests.ts'
import type { Row, Scenario } from './scenario.ts'

const SESSIONS = 100
const PICTURE = join(import.meta.dirname, '../../docs/pictures/fleet.svg')

interface Played extends FleetCase {
  readonly says: string
}

function cases(quick: boolean): readonly Played[] {
  const calls = quick ? 200 : 1000
  const crowd = (runtimes: number, awake = 40): Played => ({ says: `${runtimes} runtimes, ${awake} awake`, runtimes, awake, calls })
  const crowds = quick ? [crowd(100), crowd(300)] : [crowd(100), crowd(300), crowd(1000), crowd(3000)]
  if (quick) return crowds
  return [
    ...crowds,
    crowd(1000, 10),
    crowd(1000, 90),
    { ...crowd(1000), says: '1000 runtimes, 40 awake, a stranger holds 30 sessions', strangers: 30 },
    { ...crowd(1000), says: '1000 runtimes, 40 awake, in two fleets', fleets: ['one', 'two'] },
    { ...crowd(1000), says: '1000 runtimes, 40 awake, the server restarts in the middle', outage: true },
  ]
}

export const fleet: Scenario = {
  name: 'fleet',
  title: `More runtimes than a server of ${SESSIONS} has sessions`,
  async run({ quick, progress }) {
    await using server = await startPostgres({ settings: { max_connections: SESSIONS } })
    const rows: Row[] = []
    const notes: string[] = []
    const points: FleetPoint[] = []
    for (const played of cases(quick)) {
      progress(`${played.says}: pg`)
      const plain = await playFleet(server, 'pg', played)
      progress(`${played.says}: fleet`)
      const shared = await playFleet(server, 'fleet', played)
      rows.push(failures(played, plain, shared), ...waits(played, plain, shared))
      notes.push(`${played.says}: ${told(shared)}.`)
      if (played.awake === 40 && !played.strangers && !played.fleets && !played.outage) {
        points.push({ runtimes: played.runtimes, pg: percent(plain), fleet: percent(shared) })
      }
    }
    if (!quick) {
      const all: FleetCase = { runtimes: 1000, awake: 1000, calls: 1000 }
      for (const driver of ['pg, retrying', 'fleet'] as const) {
        progress(`1000 at once: ${driver}`)
        const woken = await playFleet(server, driver, all)
        notes.push(`1000 runtimes wake at once, ${driver}: ${woken.mostDialsPerSecond} dials in the worst second, ${told(woken)}.`)
      }
      await writeFile(PICTURE, plotFleet(points, SESSIONS))
    }
    return { rows, notes }
  },
}

function failures({ says }: Played, plain: FleetResult, shared: FleetResult): Row {
  return {
    measured: `${says}: failed of ${shared.calls} calls`,
    unit: 'calls',
    pg: { value: plain.failed },
    thaw: { value: shared.failed, ...remarkOn(shared) },
    target: { says: '0 but those under way in a restart', met: shared.failed === shared.interrupted && shared.astray === 0 },
  }
}

function remarkOn({ astray, interrupted }: FleetResult): { readonly remark?: string } {
  if (astray > 0) return { remark: `${astray} writes astray` }
  return interrupted > 0 ? { remark: 'under way in the restart' } : {}
}

/** What plain pg fails, it fails at once. */
function waits({ says }: Played, plain: FleetResult, shared: FleetResult): Row[] {
  const remark = plain.failed > 0 ? { remark: 'with the failures' } : {}
  return [
    { measured: `${says}: p50`, unit: 'ms', pg: { value: plain.p50, ...remark }, thaw: { value: shared.p50 } },
    { measured: `${says}: p99`, unit: 'ms', pg: { value: plain.p99, ...remark }, thaw: { value: shared.p99 } },
  ]
}

function told({ failed, evicted, dialsPerCall, seconds, calls }: FleetResult): string {
  return `${failed} failed, ${(calls / seconds).toFixed(0)} calls/s, ${dialsPerCall.toFixed(2)} dials per call, ${evicted} sessions ended`
}

function percent({ failed, calls }: FleetResult): number {
  return (100 * failed) / calls
}

/** The test of the lease, for half an hour instead of half a minute. */
export const fleetLease: Scenario = {
  name: 'fleet-lease',
  title: 'No statement is lost to an eviction',
  async run({ quick, progress }) {
    const evictions = quick ? 1000 : 100_000
    progress(`${evictions} sessions are ended`)
    const run = await runTests('tests', ['faults/fleet-lease.test.ts'], { THAW_EVICTIONS: String(evictions) })
    return {
      rows: [
        {
          measured: `${evictions} sessions ended under load, in ${run.seconds.toFixed(0)} s`,
          unit: 'tests',
          thaw: { value: run.passed },
          target: { says: 'no statement lost', met: run.failed === 0 && run.skipped === 0 && run.passed > 0 },
        },
      ],
      notes: listFailures(run),
    }
  },
}
