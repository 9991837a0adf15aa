/** More runtimes than the server has sessions, and no pooler. Beside what people would set up instead; and a fleet that wakes up at once. */

import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { type PostgresServer, startPostgres } from '@thaw/testkit'
import { type FleetPoint, plotFailures, plotWaits } from './fleet-plot.ts'
import { type FleetCase, type FleetResult, playFleet, prepareFleet, sessionsFor } from './fleet-run.ts'
import { FLEET_DRIVERS, type FleetDriver } from './fleet-runtime.ts'
import { listFailures, runTests } from './long-tests.ts'
import type { Row, Scenario } from './scenario.ts'

const SESSIONS = 100
/** For real processes: each takes a tenth of a gigabyte. */
const FEW_SESSIONS = 20
const PROCESSES = 40
const PICTURES = join(import.meta.dirname, '../../docs/pictures')

interface Played extends FleetCase {
  readonly says: string
}

/** The first ones are in the pictures. */
function cases(quick: boolean): { readonly first: readonly Played[]; readonly more: readonly Played[] } {
  const calls = quick ? 200 : 400
  const crowd = (runtimes: number, awake = 40): Played => ({ says: `${runtimes} runtimes, ${awake} awake`, runtimes, awake, calls })
  if (quick) return { first: [crowd(100), crowd(300)], more: [] }
  const each = (awake: number) => [100, 300, 1000, 3000].map((runtimes) => crowd(runtimes, awake))
  const special = (says: string, what: Partial<FleetCase>): Played => ({
    ...crowd(1000),
    says: `1000 runtimes, 40 awake, ${says}`,
    ...what,
  })
  const first = [
    ...each(40),
    special('a stranger holds 30 sessions', { strangers: 30 }),
    special('in two fleets', { fleets: ['one', 'two'] }),
    special('the server restarts in the middle', { outage: true }),
  ]
  return { first, more: [...each(10), ...each(90)] }
}

type Results = Partial<Record<FleetDriver, FleetResult>>

export const fleet: Scenario = {
  name: 'fleet',
  title: `More runtimes than a server of ${SESSIONS} has sessions`,
  async run({ quick, progress }) {
    const drivers = FLEET_DRIVERS.filter((driver) => driver !== 'pg, retrying' && (driver !== 'PgBouncer' || hasPgBouncer()))
    const all: { readonly played: Played; readonly results: Results }[] = []
    const notes: string[] = []
    if (!drivers.includes('PgBouncer')) notes.push('PgBouncer is not on this machine (Debian: apt-get install pgbouncer): it is left out.')
    const play: Play = async (server, most, played, by = drivers) => {
      const results: Results = {}
      for (const driver of by) {
        progress(`${played.says}: ${driver}`)
        const result = await playFleet(server, driver, sessionsFor(most), played)
        results[driver] = result
        progress(`${played.says}: ${driver}: ${JSON.stringify(result)}`)
        notes.push(`${played.says}, ${driver}: ${told(result)}.`)
      }
      all.push({ played, results })
    }
    await using server = await startPostgres({ settings: { max_connections: SESSIONS } })
    await prepareFleet(server)
    const { first, more } = cases(quick)
    for (const played of first) await play(server, SESSIONS, played)
    if (!quick) {
      const points = all.flatMap(({ played, results }) => point(played, results))
      await writeFile(join(PICTURES, 'fleet.svg'), plotFailures(points, SESSIONS))
      await writeFile(join(PICTURES, 'fleet-waits.svg'), plotWaits(points, SESSIONS))
      await playProcesses(play)
      const atOnce = { says: '1000 runtimes wake at once', runtimes: 1000, awake: 1000, calls: 1000 }
      const rivals: readonly FleetDriver[] = ['pg, retrying', ...drivers.filter((driver) => driver !== 'pg')]
      await play(server, SESSIONS, atOnce, rivals)
      await play(server, SESSIONS, { ...atOnce, says: '1000 runtimes wake while the server restarts', outage: true }, rivals)
    }
    for (const played of more) await play(server, SESSIONS, played)
    notes.push(
      `Load of this machine at the end, over 1, 5 and 15 minutes: ${loadavg()
        .map((load) => load.toFixed(0))
        .join(', ')}.`,
    )
    return { rows: all.flatMap(({ played, results }) => rowsOf(played, results)), comparisons: [compare(all)], notes }
  },
}

type Play = (server: PostgresServer, most: number, played: Played, by?: readonly FleetDriver[]) => Promise<void>

async function playProcesses(play: Play): Promise<void> {
  await using small = await startPostgres({ settings: { max_connections: FEW_SESSIONS } })
  await prepareFleet(small)
  const says = `${PROCESSES} processes, stopped between their calls, on a server of ${FEW_SESSIONS}, 6 awake`
  await play(small, FEW_SESSIONS, { says, runtimes: PROCESSES, awake: 6, calls: 240, areProcesses: true })
}

function hasPgBouncer(): boolean {
  return spawnSync(process.env['THAW_PGBOUNCER'] ?? 'pgbouncer', ['--version']).error === undefined
}

function point({ runtimes, awake, strangers, fleets, outage, areProcesses }: Played, results: Results): FleetPoint[] {
  if (awake !== 40 || strangers || fleets || outage || areProcesses) return []
  return [{ runtimes, results }]
}

function rowsOf({ says }: Played, { pg, 'pg, retrying': retrying, fleet }: Results): Row[] {
  if (!fleet) return []
  const plain = pg ?? retrying
  return [
    {
      measured: `${says}: failed of ${fleet.calls} calls`,
      unit: 'calls',
      ...(plain && { pg: { value: plain.failed } }),
      thaw: { value: fleet.failed, ...remarkOn(fleet) },
      target: { says: '0 but those under way in a restart', met: fleet.failed === fleet.interrupted && fleet.astray === 0 },
    },
  ]
}

function remarkOn({ astray, interrupted }: FleetResult): { readonly remark?: string } {
  if (astray > 0) return { remark: `${astray} writes astray` }
  return interrupted > 0 ? { remark: 'under way in the restart' } : {}
}

/** Each beside each other. */
function compare(all: readonly { readonly played: Played; readonly results: Results }[]) {
  const columns = ['played', 'by', 'failed', 'p50', 'p99', 'sessions at most', 'dials per call', 'in the worst second', 'calls/s', 'ended']
  const millis = (value: number) => (value < 1000 ? `${value.toFixed(0)} ms` : `${(value / 1000).toFixed(1)} s`)
  const rows = all.flatMap(({ played, results }) =>
    Object.entries(results).map(([driver, result]) => [
      played.says,
      driver === 'fleet' ? '**Thaw, fleet**' : driver,
      `${result.failed} of ${result.calls}`,
      millis(result.p50),
      millis(result.p99),
      String(result.mostSessions),
      result.dialsPerCall.toFixed(2),
      String(result.mostDialsPerSecond),
      (result.calls / result.seconds).toFixed(0),
      String(result.evicted),
    ]),
  )
  return { columns, rows }
}

function told({ failed, failures, interrupted, astray, crashes }: FleetResult): string {
  const which = Object.entries(failures).map(([what, times]) => `${times} x ${what}`)
  const parts = [
    failed === 0 ? 'none failed' : `${failed} failed (${which.join('; ')})`,
    interrupted > 0 && `${interrupted} of them under way when the server stopped`,
    astray > 0 && `${astray} writes that were confirmed are missing`,
    crashes > 0 && `${crashes} errors that could not be caught`,
  ]
  return parts.filter(Boolean).join(', ')
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
