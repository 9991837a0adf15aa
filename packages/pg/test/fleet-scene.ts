/** A fleet on a server that other fleets use as well, and what is to be seen of it. */

import type { ThawEvent } from '@thaw/core'
import type { PostgresServer } from '@thaw/testkit'
import { expect, vi } from 'vitest'
import { Pool, type PoolConfig } from '../src/index.ts'

export const PATIENCE = { timeout: 20_000, interval: 50 }
export const PATIENT = 60_000

export interface Scene extends AsyncDisposable {
  readonly fleet: string
  readonly events: readonly ThawEvent[]
  /** Of this fleet, as that role, in that database. */
  member(config?: PoolConfig & { readonly sessions?: number; readonly keep?: number }, role?: string, database?: string): Pool
  troubles(): string[]
  evicted(): number
  /** The names of all its sessions. */
  names(): Promise<string[]>
  /** Until every session of that name may be ended. */
  asleep(name?: string): Promise<void>
}

let scenes = 0

/** A fleet with a name of its own. */
export function openScene(server: PostgresServer): Scene {
  const fleet = `f${++scenes}`
  const events: ThawEvent[] = []
  const pools: Pool[] = []
  const names = async () => {
    const { rows } = await server.query<{ name: string }>(
      'select application_name as name from pg_stat_activity where application_name ~ $1 order by backend_start',
      [`(^| )fleet:${fleet}[*]?$`],
    )
    return rows.map(({ name }) => name)
  }
  return {
    fleet,
    events,
    names,
    member({ sessions, keep, ...config } = {}, role = 'postgres', database = 'postgres') {
      const url = new URL(server.url)
      if (role !== 'postgres') Object.assign(url, { username: role, password: 'x' })
      url.pathname = database
      const options = { connectionString: url.href, max: 1, idleTimeoutMillis: 0, hedge: false as const }
      const pool = new Pool({ ...options, fleet: { name: fleet, sessions, keep }, ...config })
      pool.subscribe((event) => events.push(event))
      pools.push(pool)
      return pool
    },
    troubles: () => events.flatMap((event) => (event.type === 'fleetTrouble' ? [event.reason] : [])),
    evicted: () => events.reduce((all, event) => all + (event.type === 'evicted' ? event.sessions : 0), 0),
    async asleep(name = `fleet:${fleet}`) {
      await vi.waitFor(async () => {
        const { rows } = await server.query<{ fresh: number; all: number }>(
          `select count(*) filter (where state_change > clock_timestamp() - interval '1.5 seconds')::int as fresh, count(*)::int as all
           from pg_stat_activity where application_name = $1`,
          [name],
        )
        expect(rows[0]?.all).toBeGreaterThan(0)
        expect(rows[0]?.fresh).toBe(0)
      }, PATIENCE)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(pools.filter((pool) => !pool.ending).map((pool) => pool.end({ timeoutMillis: 1000 })))
    },
  }
}
