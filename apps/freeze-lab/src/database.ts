/**
 * The database that the orders go to, seen from outside: by connections of its own, past the proxies. Either a server that
 * the lab starts for itself, or the user's own, where the lab keeps to one schema and to its own sessions.
 */

import { randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { IDEMPOTENCY_SQL } from '@thaw/pg'
import { startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { LabError } from './lab-error.ts'

/** One driver's database. */
export interface Database extends AsyncDisposable {
  /** Where the proxy leads to. */
  readonly target: { readonly host: string; readonly port: number }
  /** Whether `target` has a name, whose lookup can fail. */
  readonly isNamed: boolean
  /** Whether what passes the proxy can be read: no TLS. */
  readonly isPlain: boolean
  /** When nothing has passed the proxy for so long, nothing is under way: longer than a round trip. */
  readonly quietMillis: number
  /** The table of the orders, with its schema. */
  readonly table: string
  /** The version of the server. */
  readonly version: string
  /** The URL by which an instance reaches the database through a proxy on that port of this machine. */
  urlThrough(port: number): string
  /** How many sessions the instances have open, as the server sees it. */
  countSessions(): Promise<number>
  /** How many of them wait for a lock. */
  countBlocked(): Promise<number>
  /** Ends the sessions of the instances, as an administrator does. Says how many. */
  terminateSessions(): Promise<number>
  /** Locks the table until it is disposed of. */
  lockTable(): Promise<AsyncDisposable>
  /** How often each line of each order is stored. */
  countRows(): Promise<readonly StoredLine[]>
  /** Restarts the server. Not on the user's own server. */
  readonly restart?: () => Promise<void>
}

/** One line of an order, and in how many rows it is. */
export interface StoredLine {
  readonly token: string
  readonly line: number
  readonly copies: number
}

// `.test` is reserved (RFC 2606), so no resolver but our own will ever answer for it.
const OWN_HOST = 'orders.freeze-lab.test'
const OWN_QUIET_MILLIS = 50
// Across an ocean; and less than the 500 ms after which Thaw probes a connection before it hands it out.
const FAR_QUIET_MILLIS = 250
const CONNECT_LIMIT_MILLIS = 10_000
const POLL_MILLIS = 10

/** Starts a PostgreSQL server for one driver alone. */
export async function startOwnDatabase(): Promise<Database> {
  const server = await startPostgres()
  try {
    const url = new URL(`${server.url}?sslmode=disable`)
    await server.query(IDEMPOTENCY_SQL)
    const database = await createDatabase(url, OWN_HOST, 'public', server.version)
    return { ...database, restart: () => server.restart(), [Symbol.asyncDispose]: () => server.close() }
  } catch (error) {
    await server.close()
    throw error
  }
}

/** Makes a schema in the database of `url`, which is dropped in the end. */
export async function borrowDatabase(url: URL): Promise<Database> {
  const schema = `thaw_lab_${randomBytes(4).toString('hex')}`
  const admin = adminOf(url)
  const { rows } = await admin(async (client) => client.query<{ server_version: string }>('SHOW server_version')).catch((cause: Error) => {
    throw new LabError(`The database at ${url.host} cannot be used: ${cause.message || String(cause)}`, { cause })
  })
  await admin((client) => client.query(`CREATE SCHEMA ${schema}`)).catch((cause: Error) => {
    throw new LabError(`The lab needs the right to create a schema in the database at ${url.host}: ${cause.message}`, { cause })
  })
  const drop = async (): Promise<void> => {
    await admin((client) => client.query(`DROP SCHEMA ${schema} CASCADE`)).catch((cause: Error) => {
      throw new LabError(`The schema ${schema} could not be dropped (${cause.message}). Please run: DROP SCHEMA ${schema} CASCADE`, {
        cause,
      })
    })
  }
  try {
    const { hostname } = url
    const database = await createDatabase(
      url,
      isIP(hostname.replace(/^\[|\]$/g, '')) ? '127.0.0.1' : hostname,
      schema,
      rows[0]?.server_version ?? '',
    )
    return { ...database, [Symbol.asyncDispose]: drop }
  } catch (error) {
    await drop()
    throw error
  }
}

async function createDatabase(
  url: URL,
  host: string,
  schema: string,
  version: string,
): Promise<Omit<Database, typeof Symbol.asyncDispose>> {
  const admin = adminOf(url)
  const table = `${schema}.orders`
  // Random, because everything is done to the sessions of this name, and to no others.
  const applicationName = `thaw-lab-${randomBytes(4).toString('hex')}`
  const ask = async (text: string): Promise<number> => {
    const { rows } = await admin((client) => client.query<{ count: number }>(text, [applicationName]))
    return rows[0]?.count ?? 0
  }
  await admin((client) =>
    client.query(`CREATE TABLE ${table} (
      number bigint GENERATED ALWAYS AS IDENTITY, token text NOT NULL, line int NOT NULL, item text NOT NULL)`),
  )
  return {
    target: { host: url.hostname.replace(/^\[|\]$/g, ''), port: Number(url.port || 5432) },
    isNamed: isIP(host) === 0,
    isPlain: host === OWN_HOST,
    quietMillis: host === OWN_HOST ? OWN_QUIET_MILLIS : FAR_QUIET_MILLIS,
    table,
    version,
    urlThrough(port) {
      const through = new URL(url)
      through.hostname = host
      through.port = String(port)
      through.searchParams.set('application_name', applicationName)
      return through.href
    },
    countSessions: () => ask('SELECT count(*)::int FROM pg_stat_activity WHERE application_name = $1'),
    countBlocked: () => ask("SELECT count(*)::int FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'"),
    terminateSessions: () =>
      ask('SELECT count(*) FILTER (WHERE pg_terminate_backend(pid))::int FROM pg_stat_activity WHERE application_name = $1'),
    lockTable: () => lockTable(url, table),
    async countRows() {
      const text = `SELECT token, line, count(*)::int AS copies FROM ${table} GROUP BY token, line`
      return (await admin((client) => client.query<StoredLine>(text))).rows
    },
  }
}

/** Waits until the server says so, since it notices a moment after the client. */
export async function until(what: string, isSo: () => Promise<boolean> | boolean, signal: AbortSignal, limitMillis = 5_000): Promise<void> {
  for (const limit = performance.now() + limitMillis; !(await isSo()); await sleep(POLL_MILLIS, undefined, { signal })) {
    if (performance.now() >= limit) throw new LabError(`The lab timed out after ${limitMillis} ms: ${what}.`)
  }
}

type Admin = <T>(work: (client: pg.Client) => Promise<T>) => Promise<T>

function adminOf(url: URL): Admin {
  return async (work) => {
    const client = await connectAdmin(url)
    try {
      return await work(client)
    } finally {
      await client.end()
    }
  }
}

async function connectAdmin(url: URL): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url.href,
    application_name: 'thaw-lab-admin',
    connectionTimeoutMillis: CONNECT_LIMIT_MILLIS,
  })
  // A server that goes away fails the query; it must not end the lab.
  client.on('error', () => {})
  await client.connect()
  return client
}

async function lockTable(url: URL, table: string): Promise<AsyncDisposable> {
  const client = await connectAdmin(url)
  try {
    await client.query('BEGIN')
    await client.query(`LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`)
  } catch (error) {
    await client.end()
    throw error
  }
  return {
    async [Symbol.asyncDispose]() {
      await client.query('COMMIT').finally(() => client.end())
    },
  }
}
