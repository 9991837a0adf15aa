/** A world in which no time passes: a fake clock, and a server that is a script. */

import {
  createFakeClock,
  createScriptedServer,
  type FakeClock,
  type ScriptedAnswer,
  type ScriptedConnection,
  type ScriptedServer,
} from '@thaw/testkit'
import type pg from 'pg'
import { play, type World } from './callers.ts'
import { isCalm, type Program } from './program.ts'

const MILLIS = 1000
const INT = 23
const BOOL = 16
/** How often a write was executed. */
type Executed = Map<string, number>

/** What a pool is made with, beside what the test adds. */
export interface WorldConfig {
  readonly max: number
  readonly trustMillis: number
  readonly clock: FakeClock
  readonly stream: () => unknown
  readonly connectionTimeoutMillis: number
  readonly query_timeout: number
  readonly releaseTimeoutMillis: number
  readonly host: string
}

/** No caller holds a client for longer than the steps of a program take: without a fault, all can be served. */
const CALM_MILLIS = 600_000
const TROUBLED_MILLIS = 10_000
/** Shorter: a caller that waits behind a statement that is never answered must still get its connection. */
const QUERY_MILLIS = 8000
const PATIENCE_MILLIS = 150_000
/** Longer: each statement that a client is released under ends, or is ended, by itself. No caller may wait for what is past. */
const NEVER_MILLIS = 600_000

/** Plays a program on the pool that `make` makes. `areAlike`: one server cannot be told from another. */
export async function playScripted(
  program: Program,
  make: (config: WorldConfig) => pg.Pool,
  unhandled: unknown[] = [],
  areAlike: boolean = false,
): Promise<void> {
  unhandled.length = 0
  const { clock, settle } = createWorldClock(program.seed)
  const executed: Executed = new Map()
  const server: ScriptedServer = createScriptedServer({
    clock,
    latencyMillis: program.latency,
    servers: program.servers,
    answer: (text, values, asker) => answerOf(text, values, executed) ?? activityOf(text, values, asker, server, areAlike),
  })
  const isQuiet = isCalm(program)
  const pool = make({
    max: program.max,
    trustMillis: program.trustMillis,
    clock,
    stream: server.stream,
    // An address that cannot be reached: whatever does not come through `stream` fails.
    host: '/nowhere',
    connectionTimeoutMillis: isQuiet ? CALM_MILLIS : TROUBLED_MILLIS,
    query_timeout: isQuiet ? 0 : QUERY_MILLIS,
    releaseTimeoutMillis: NEVER_MILLIS,
  })
  try {
    await play(program, pool, worldOf(clock, settle, server, executed), unhandled)
  } finally {
    server.close()
    // What a failed program still has open ends now, and is not the next one's.
    await settle()
  }
}

/** Promises and ticks are all done when a turn of the loop has passed. It passes as many as a caller waits for, and no more: they are what costs time here. */
function createWorldClock(seed: number): { clock: FakeClock; settle: () => Promise<void> } {
  const clock = createFakeClock({ seed })
  let awaited = 0
  const turn = (callback: () => void) => {
    awaited++
    setImmediate(() => {
      awaited--
      callback()
    })
  }
  const settle = async () => {
    do await new Promise((resolve) => setImmediate(resolve))
    while (awaited > 0)
  }
  return { clock: Object.assign(clock, { turn }), settle }
}

function worldOf(clock: FakeClock, settle: () => Promise<void>, server: ScriptedServer, executed: Executed): World {
  return {
    patienceMillis: PATIENCE_MILLIS,
    async pass(millis) {
      await settle()
      let left = millis
      for (let next = clock.nextTimerMillis; next <= left; next = clock.nextTimerMillis) {
        clock.advance(next)
        left -= next
        await settle()
      }
      clock.advance(left)
    },
    later: (millis, action) => void clock.setTimer(action, millis),
    async freeze(millis, stops) {
      clock.freeze(millis, { stops })
      if (stops === 'mono' || stops === 'both') server.elapse(millis)
      await settle()
    },
    fault(which, how) {
      const connections = server.connections()
      connections[which % Math.max(1, connections.length)]?.fault(how)
    },
    setMood(mood) {
      server.mood = mood
    },
    complaints({ max }) {
      const found: string[] = []
      // A dial beside one that is late, or one question. A CancelRequest takes the place of its connection.
      if (server.mostOpen > max + 1) found.push(`${server.mostOpen} connections were open at once, of ${max}`)
      for (const [name, times] of executed) if (times > 1) found.push(`${name} was written ${times} times`)
      return found
    },
  }
}

/** What callers ask, see `configOf`. */
function answerOf(text: string, values: readonly (string | undefined)[], executed: Executed): ScriptedAnswer | undefined {
  if (!text.includes('caller')) return undefined
  const name = values[0] ?? /'([^']*)'/.exec(text)?.[1] ?? ''
  const workMillis = Number(/pg_sleep\(([\d.e-]+)\)/.exec(text)?.[1] ?? values[2] ?? 0) * MILLIS
  if (text.includes('1/0') || values[1] === '0') return { workMillis, error: { code: '22012', message: 'division by zero' } }
  const filler = 'x'.repeat(Number(values[3] ?? 0))
  const rows = Array.from({ length: Number(/generate_series\(1, (\d+)\)/.exec(text)?.[1] ?? 1) }, () => [name, filler])
  const answer = { columns: ['caller', 'filler'], rows, workMillis }
  if (!text.startsWith('insert')) return answer
  return { ...answer, tag: 'INSERT 0 1', effect: () => executed.set(name, (executed.get(name) ?? 0) + 1) }
}

const WHO = ['pid', 'started', 'standby', 'keys', 'system', 'timeline', 'stats', 'archiver', 'postmaster']

/** The servers are copies of one, and are told apart by when each was started. */
const CLUSTER = ['1', '00000001']
const bornAt = ({ pid }: ScriptedConnection): string => `20260102${pid}`

/** What a pool may ask about its backends: each server knows of its own, and of no other. */
function activityOf(
  text: string,
  [wanted = '']: readonly (string | undefined)[],
  asker: ScriptedConnection,
  server: ScriptedServer,
  areAlike: boolean,
): ScriptedAnswer | undefined {
  if (!text.includes('pg_stat_activity')) return undefined
  const here = server.connections().filter((one) => one.server === asker.server && wanted.match(/\d+/g)?.includes(String(one.pid)))
  const self = String(asker.pid)
  const startedAt = `2026010100000${areAlike ? 0 : asker.server}`
  if (text.includes('AS postmaster'))
    return { columns: WHO, rows: [[self, bornAt(asker), 'false', 'false', ...CLUSTER, startedAt, startedAt, startedAt]] }
  if (text.includes('AS server')) {
    const rows = [asker, ...here].map((one) => [self, startedAt, ...CLUSTER, String(one.pid), bornAt(one)])
    return { columns: ['asker', 'server', 'system', 'timeline', 'pid', 'began'], rows }
  }
  if (text.includes('busy')) {
    const columns = [['asker', INT] as const, ['busy', BOOL] as const]
    return { columns, rows: [[self, here.some(({ isBusy }) => isBusy) ? 't' : 'f']] }
  }
  const columns = ['asker', 'pid', 'state', 'wait_event', 'port', 'age', 'state_age', 'query_age']
  const found = here.map(({ pid, isBusy }) => [self, String(pid), isBusy ? 'active' : 'idle', null, null, '1', '0', '0'])
  return { columns, rows: found.length > 0 ? found : [[self, null, null, null, null, null, null, null]] }
}
