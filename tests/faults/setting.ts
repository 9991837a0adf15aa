/** One PostgreSQL for a test file, a proxy in front of it for each test, and pools on both drivers that are ended whatever happens. */

import { Pool, type PoolConfig, type ThawEvent } from '@thaw/pg'
import { type FaultProxy, type PostgresOptions, type PostgresServer, startFaultProxy, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, vi } from 'vitest'

export interface Setting {
  readonly server: PostgresServer
  readonly proxy: FaultProxy
  /** What all Thaw pools of the test have told so far. */
  readonly events: readonly ThawEvent[]
  thaw(config?: PoolConfig): Pool
  plain(config?: pg.PoolConfig): pg.Pool
  /** How often the token is in the ledger. */
  rows(token: string): Promise<number>
  /** The `outcome` events, without their type. */
  outcomes(): object[]
}

/** Writes `$1` into the ledger. */
export const INSERT = 'INSERT INTO ledger VALUES ($1)'

const OTHERS = `application_name <> 'thaw-testkit' AND backend_type = 'client backend'`

/** To be called at the top of a test file. What it returns is to be used inside of tests only. */
export function useSetting(options: PostgresOptions = {}): Setting {
  let server: PostgresServer
  let proxy: FaultProxy
  let pools: pg.Pool[] = []
  let events: ThawEvent[] = []
  const keep = <P extends pg.Pool>(pool: P): P => {
    pools.push(pool)
    return pool
  }
  beforeAll(async () => {
    server = await startPostgres(options)
    await server.query('CREATE TABLE ledger (token text NOT NULL)')
  })
  beforeEach(async () => {
    proxy = await startFaultProxy(server)
    events = []
  })
  afterEach(async () => {
    const open = pools.filter(({ ending }) => !ending)
    const ended = open.map((pool) => (pool instanceof Pool ? pool.end({ timeoutMillis: 1000 }) : endAtOnce(pool)))
    pools = []
    await Promise.all(ended)
    // What a stock pool has left running must not be taken for the next test's.
    await server.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${OTHERS}`)
    await proxy.close()
  })
  afterAll(() => server.close())
  return {
    get server() {
      return server
    },
    get proxy() {
      return proxy
    },
    get events() {
      return events
    },
    thaw(config = {}) {
      const pool = keep(new Pool({ connectionString: proxy.urlFor(server.url), ...config }))
      pool.subscribe((event) => events.push(event))
      return pool
    },
    plain(config = {}) {
      const pool = keep(new pg.Pool({ connectionString: proxy.urlFor(server.url), ...config }))
      pool.on('error', () => {})
      return pool
    },
    async rows(token) {
      return (await server.query('SELECT FROM ledger WHERE token = $1', [token])).rowCount ?? 0
    },
    outcomes: () => events.filter(({ type }) => type === 'outcome').map(({ type: _, ...rest }) => rest),
  }
}

/** A stock pool waits for clients that hang. */
async function endAtOnce(pool: pg.Pool): Promise<void> {
  const clients = (
    pool as unknown as { _clients: { on(name: 'error', listener: () => void): void; connection: { stream: { destroy(): void } } }[] }
  )._clients
  void pool.end()
  for (const client of [...clients]) {
    client.on('error', () => {})
    client.connection.stream.destroy()
  }
}

/** The error with which the work fails. Throws if it does not. */
export async function failure(work: Promise<unknown>): Promise<Error & { code?: string }> {
  return work.then(
    (value) => {
      throw new Error(`should have failed, but gave ${JSON.stringify(value)}`)
    },
    (error: Error) => error,
  )
}

/** Backends, other than the testkit's, that are working, with what they wait for. */
export async function activeBackends(server: PostgresServer, count: number, containing = ''): Promise<number[]> {
  const find = `SELECT pid FROM pg_stat_activity WHERE ${OTHERS} AND state = 'active' AND strpos(query, $1) > 0`
  return vi.waitFor(async () => {
    const { rows } = await server.query<{ pid: number }>(find, [containing])
    if (rows.length !== count) throw new Error(`${rows.length} backends are at work, not ${count}`)
    return rows.map(({ pid }) => pid)
  }, 30_000)
}
