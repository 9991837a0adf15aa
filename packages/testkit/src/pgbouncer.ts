/** PgBouncer itself, where the machine has it. */

import { spawn } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { findFreePort } from './free-port.ts'
import { spawnLifeline } from './lifeline.ts'

const MISSING =
  'PgBouncer is not on this machine. Install it (Debian: apt-get install pgbouncer), or set THAW_PGBOUNCER to the path of its program.'

/** How to start PgBouncer. */
export interface PgBouncerOptions {
  /** `pool_mode`. Default: `transaction`. */
  readonly mode?: 'transaction' | 'session'
  /** `default_pool_size`: how many sessions it has at the server. Default: 1, so that a busy client makes all others wait. */
  readonly sessions?: number
  /** `max_client_conn`: how many clients it lets in. Default: 100, PgBouncer's own. */
  readonly clients?: number
  /** `query_wait_timeout`: how long a statement waits for a session at the server before its client is sent away. Default: 120,000, PgBouncer's own. */
  readonly queryWaitMillis?: number
}

/** A running PgBouncer. */
export interface PgBouncer extends AsyncDisposable {
  readonly host: string
  readonly port: number
  /** Runs a command of its console, such as `PAUSE`. Resolves when the command has ended. */
  admin(command: string): Promise<void>
  /** Writes into its configuration where the database is from now on. `admin('RELOAD')` makes it known. */
  pointTo(server: { readonly host: string; readonly port: number }): Promise<void>
  /** The same URL, through PgBouncer. Its user has to be one that the server has. */
  urlFor(url: string): string
  /** Ends it, and with it every connection. Safe to call twice. */
  close(): Promise<void>
}

/**
 * Starts the PgBouncer of this machine on 127.0.0.1 in front of `target`: Debian's package `pgbouncer`, or the program that
 * `THAW_PGBOUNCER` names. It knows the user of the target's URL, and no other. It ends when this process does, however that ends.
 *
 * @throws where there is none, or it does not come up.
 */
export async function startPgBouncer(target: { readonly url: string }, options: PgBouncerOptions = {}): Promise<PgBouncer> {
  const { mode = 'transaction', sessions = 1, clients = 100, queryWaitMillis = 120_000 } = options
  const { hostname, port: itsPort, username, password, pathname } = new URL(target.url)
  const database = pathname.slice(1)
  const folder = await mkdtemp(join(tmpdir(), 'thaw-pgbouncer-'))
  await chmod(folder, 0o755)
  const port = await findFreePort()
  const users = join(folder, 'users.txt')
  await writeFile(users, `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`, { mode: 0o644 })
  // A connection to the server that PAUSE meets while it logs in counts as a failed login, after which PgBouncer by default makes no other for 15 s.
  const pointTo = (server: { readonly host: string; readonly port: number | string }) =>
    writeFile(
      join(folder, 'pgbouncer.ini'),
      `[databases]
${database} = host=${server.host} port=${server.port} dbname=${database}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
listen_backlog = 4096
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = ${mode}
default_pool_size = ${sessions}
max_client_conn = ${clients}
ignore_startup_parameters = extra_float_digits
server_login_retry = 1
query_wait_timeout = ${queryWaitMillis / 1000}
admin_users = ${decodeURIComponent(username)}
`,
    )
  await pointTo({ host: hostname, port: itsPort })
  // It refuses to run as root.
  const isRoot = process.getuid?.() === 0
  const child = spawn(process.env['THAW_PGBOUNCER'] ?? 'pgbouncer', [...(isRoot ? ['-u', 'nobody'] : []), join(folder, 'pgbouncer.ini')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.on('data', (text) => (log += text))
  const cutLifeline = child.pid === undefined ? () => {} : spawnLifeline(child.pid, folder)
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ENOENT' ? MISSING : error.message))
    child.once('exit', (code) => {
      cutLifeline()
      resolve(`PgBouncer ended with code ${code}: ${log}`)
    })
  })
  const close = async () => {
    child.kill('SIGTERM')
    await ended
    await rm(folder, { recursive: true, force: true })
  }
  const urlFor = (url: string) => Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(port) }).href
  const admin = async (command: string) => {
    const client = new pg.Client(Object.assign(new URL(urlFor(target.url)), { pathname: '/pgbouncer' }).href)
    client.on('error', () => {})
    await client.connect()
    await client.query(command).finally(() => client.end())
  }
  try {
    await Promise.race([isUp(urlFor(target.url)), ended.then((why) => Promise.reject(new Error(why)))])
  } catch (error) {
    await close()
    throw error
  }
  return { host: '127.0.0.1', port, admin, pointTo, urlFor, close, [Symbol.asyncDispose]: close }
}

async function isUp(url: string): Promise<void> {
  for (;;) {
    const client = new pg.Client(url)
    try {
      await client.connect()
      await client.query('select 1')
      return await client.end()
    } catch (error) {
      client.end().catch(() => {})
      if ((error as { code?: string }).code !== 'ECONNREFUSED') throw error
      await sleep(50)
    }
  }
}
