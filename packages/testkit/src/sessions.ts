import { setTimeout as sleep } from 'node:timers/promises'
import type { PostgresServer } from './postgres.ts'

/** A session of the server, from `pg_stat_activity`. */
export interface Session {
  readonly pid: number
  /** Such as `active`, `idle` or `idle in transaction`. */
  readonly state: string | null
  readonly backendStart: Date
  /** The statement that runs, or ran last. */
  readonly query: string
}

// A backend starts and ends in milliseconds; a loaded machine takes longer.
const WAIT_LIMIT_MILLIS = 30_000
const POLL_MILLIS = 10

/** Lists the sessions of an application, as the server sees them, oldest first. Name yours with the `application_name` option of node-postgres. */
export async function sessionsOf(server: PostgresServer, applicationName: string): Promise<Session[]> {
  const { rows } = await server.query<Session>(
    `SELECT pid, state, backend_start AS "backendStart", query
       FROM pg_stat_activity WHERE application_name = $1 ORDER BY backend_start, pid`,
    [applicationName],
  )
  return rows
}

/** Ends the sessions of an application as an administrator does: their clients get 57P01, then a FIN. Says how many were told to end. */
export async function terminateSessions(server: PostgresServer, applicationName: string): Promise<number> {
  const { rows } = await server.query<{ told: boolean }>(
    'SELECT pg_terminate_backend(pid) AS told FROM pg_stat_activity WHERE application_name = $1',
    [applicationName],
  )
  return rows.filter((row) => row.told).length
}

/**
 * Waits until an application has exactly `count` sessions, and lists them: sessions begin and end a moment after the client
 * believes so. Throws, with the sessions that there are, after `timeoutMillis` (default: 30 s).
 */
export async function waitForSessions(
  server: PostgresServer,
  applicationName: string,
  count: number,
  timeoutMillis: number = WAIT_LIMIT_MILLIS,
): Promise<Session[]> {
  const limit = performance.now() + timeoutMillis
  for (;;) {
    const sessions = await sessionsOf(server, applicationName)
    if (sessions.length === count) return sessions
    if (performance.now() >= limit) {
      const list = sessions.map((session) => `${session.pid} (${session.state})`).join(', ') || 'none'
      throw new Error(
        `'${applicationName}' should have come to ${count} sessions within ${timeoutMillis} ms, but has ${sessions.length}: ${list}.`,
      )
    }
    await sleep(POLL_MILLIS)
  }
}
