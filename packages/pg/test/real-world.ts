/** A world of real connections: PostgreSQL, a proxy that cuts them, and a clock that can be moved. Its times are a hundredth of the program's. */

import { setTimeout as sleep } from 'node:timers/promises'
import { createStoppableClock, type PostgresServer, type ScriptedFault, startFaultProxy } from '@thaw/testkit'
import pg from 'pg'
import { play, type World } from './callers.ts'
import { isCalm, type Program, type Step } from './program.ts'

const SCALE = 100
/** The longest that a program waits at once. What is longer moves the clock. */
const MOST_MILLIS = 20
/** Half a minute of waits at the end of a program, see `passUntil`: what else ends them is the program's own. */
const PATIENCE_MILLIS = 7_500_000
const BOUND_MILLIS = 500
const CUTS = { fin: 'fin', reset: 'rst', silence: 'fin-on-next-byte' } as const satisfies Partial<Record<ScriptedFault, unknown>>

const scaled = (program: Program): Program => ({ ...program, steps: program.steps.map(scaledStep) })

function scaledStep(step: Step): Step {
  if ('sleep' in step) return { ...step, sleep: Math.ceil(step.sleep / SCALE) }
  return 'of' in step ? { ...step, of: step.of.map((one) => ({ ...one, sleep: Math.ceil(one.sleep / SCALE) })) } : step
}

/** Is a connection being opened? */
function isDialing(pool: pg.Pool): boolean {
  const { _clients } = pool as unknown as { readonly _clients: readonly { readonly _connected: boolean }[] }
  return _clients.some((client) => !client._connected)
}

/** Where the callers write. */
export async function prepare(server: PostgresServer): Promise<void> {
  await server.query('create table callers (caller text)')
}

/** Plays a program on the pool that `make` makes. `id` tells it from those that run at the same time. */
export async function playReally(
  program: Program,
  id: string,
  server: PostgresServer,
  make: (config: object) => pg.Pool,
  patienceMillis: number = PATIENCE_MILLIS,
): Promise<void> {
  const proxy = await startFaultProxy(server)
  const clock = createStoppableClock()
  const isQuiet = isCalm(program)
  const pool = make({
    connectionString: proxy.urlFor(server.url),
    application_name: id,
    max: program.max,
    trustMillis: program.trustMillis / SCALE,
    clock,
    releaseTimeoutMillis: BOUND_MILLIS,
    ...(!isQuiet && { query_timeout: BOUND_MILLIS, connectionTimeoutMillis: 4 * BOUND_MILLIS, probeTimeoutMillis: BOUND_MILLIS }),
  })
  const world: World = {
    id: `${id}-`,
    patienceMillis,
    async pass(millis) {
      await sleep(Math.min(MOST_MILLIS, millis / SCALE))
      // On a slow machine a connection takes longer than all of a program's steps: none would be idle, and nothing be found.
      while (isQuiet && isDialing(pool)) await sleep(1)
    },
    later: (millis, action) => void setTimeout(action, Math.min(MOST_MILLIS, millis / SCALE)),
    async freeze(millis) {
      clock.addWall(millis)
    },
    async fault(which, how) {
      const flows = [...proxy.flows].filter(({ state }) => state === 'open')
      const flow = flows[which % Math.max(1, flows.length)]
      if (how === 'terminate') {
        await server.query(
          'select pg_terminate_backend(pid) from (select pid from pg_stat_activity where application_name = $1 limit 1) as one',
          [id],
        )
      } else if (flow) proxy.cut(CUTS[how], { flows: [flow] })
    },
    async setMood(mood) {
      if (mood === 'refusing') proxy.refuse()
      else if (mood === 'deaf') await proxy.deafen()
      else await proxy.accept()
    },
    complaints: ({ max }) => (pool.totalCount > max + 1 ? [`${pool.totalCount} connections, of ${max}`] : []),
  }
  try {
    await play(scaled(program), pool, world)
  } finally {
    await proxy.close()
  }
}

/** Who wrote more than once, though each writes once. */
export async function writtenTwice(server: PostgresServer): Promise<readonly string[]> {
  const client = new pg.Client(server.url)
  await client.connect()
  const { rows } = await client.query<{ caller: string }>('select caller from callers group by caller having count(*) > 1')
  await client.end()
  return rows.map(({ caller }) => caller)
}
