/** One runtime of many: a connection of its own, used in three ways. In the process of the bench, or in one that is frozen between its calls. */

import { setTimeout as sleep } from 'node:timers/promises'
import { Pool as ThawPool } from '@thaw/pg'
import pg from 'pg'
import ServerlessClient from 'serverless-postgres'

/** `pg, retrying` calls anew every 50 ms, as people do by hand. `PgBouncer` is `pg` with the other address. */
export const FLEET_DRIVERS = ['pg', 'pg, retrying', 'serverless-postgres', 'PgBouncer', 'fleet'] as const
export type FleetDriver = (typeof FLEET_DRIVERS)[number]

export interface RuntimeOptions {
  readonly driver: FleetDriver
  readonly connectionString: string
  /** The name of its fleet. */
  readonly fleet: string
  /** How many sessions the server has for its role: serverless-postgres has to be told. */
  readonly sessions: number
}

export interface FleetRuntime {
  /** Reads, writes, or makes a transaction by hand. Returns the ids that it was told are stored. */
  use(id: string, kind: number): Promise<string[]>
  /** Sessions of others that it has ended. */
  readonly evicted: number
  end(): Promise<void>
}

type Query = (text: string, values?: unknown[]) => Promise<unknown>

/** For how long any of them waits for a connection. */
const PATIENCE_MILLIS = 30_000
const RETRY_MILLIS = 50
const INSERT = 'insert into ledger values ($1)'

export function createRuntime(options: RuntimeOptions): FleetRuntime {
  return options.driver === 'serverless-postgres' ? peerKiller(options) : pooled(options)
}

function pooled({ driver, connectionString, fleet }: RuntimeOptions): FleetRuntime {
  // The platform freezes the process before a timer could close anything.
  const options = { connectionString, max: 1, idleTimeoutMillis: 0, connectionTimeoutMillis: PATIENCE_MILLIS }
  const pool = driver === 'fleet' ? new ThawPool({ ...options, fleet }) : new pg.Pool(options)
  pool.on('error', () => {})
  const use = async (id: string, kind: number): Promise<string[]> => {
    if (kind !== 2) return useOnce((text, values) => (pool as pg.Pool).query(text, values), id, kind)
    const client = await (pool as pg.Pool).connect()
    try {
      return await useOnce((text, values) => client.query(text, values), id, kind)
    } finally {
      client.release()
    }
  }
  return {
    use: driver === 'pg, retrying' ? (id, kind) => retry(() => use(id, kind)) : use,
    get evicted() {
      return pool instanceof ThawPool ? (pool.stats().fleet?.evicted ?? 0) : 0
    },
    end: () => pool.end(),
  }
}

/** As its README has it: connect, query, clean. */
function peerKiller({ connectionString, sessions }: RuntimeOptions): FleetRuntime {
  const { hostname, port, username, password, pathname } = new URL(connectionString)
  const address = {
    host: hostname,
    port: Number(port),
    user: username,
    password: decodeURIComponent(password),
    database: pathname.slice(1),
  }
  const client = new ServerlessClient({ ...address, maxConnections: sessions })
  let evicted = 0
  return {
    async use(id, kind) {
      await client.connect()
      const done = await useOnce((text, values) => client.query(text, values), id, kind)
      // Its types say that it is a number. It is what the query returned.
      const killed = (await client.clean()) as unknown as readonly unknown[] | undefined
      evicted += killed?.length ?? 0
      return done
    },
    get evicted() {
      return evicted
    },
    end: () => client.end(),
  }
}

async function useOnce(query: Query, id: string, kind: number): Promise<string[]> {
  if (kind === 0) await query('select 1')
  if (kind === 0) return []
  if (kind === 1) await query(INSERT, [id])
  if (kind === 1) return [id]
  await query('begin')
  await query(INSERT, [id])
  await query('commit')
  return [id]
}

async function retry<Result>(use: () => Promise<Result>): Promise<Result> {
  const began = performance.now()
  for (;;) {
    try {
      return await use()
    } catch (error) {
      if (performance.now() - began > PATIENCE_MILLIS) throw error
      await sleep(RETRY_MILLIS)
    }
  }
}
