/** PgBouncer, where the machine has it: Debian's package `pgbouncer`. Another place is told by THAW_PGBOUNCER. */

import { spawn } from 'node:child_process'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { PostgresServer } from '@thaw/testkit'
import pg from 'pg'
import type { AnyPooler } from '../poolers/promises.ts'

const MISSING =
  'PgBouncer is not on this machine, and these tests are about nothing else. Install it (Debian: apt-get install pgbouncer), or set THAW_PGBOUNCER to its path.'

/** @throws where there is no PgBouncer, or it does not come up. */
export async function startPgBouncer(server: PostgresServer, mode: 'transaction' | 'session'): Promise<AnyPooler & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), 'thaw-pgbouncer-'))
  await chmod(folder, 0o755)
  const port = await freePort()
  const users = join(folder, 'users.txt')
  await writeFile(users, `"${server.user}" "${server.password}"\n`, { mode: 0o644 })
  await writeFile(
    join(folder, 'pgbouncer.ini'),
    `[databases]
postgres = host=${server.host} port=${server.port} dbname=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = ${users}
pool_mode = ${mode}
default_pool_size = ${mode === 'transaction' ? 1 : 20}
ignore_startup_parameters = extra_float_digits
`,
  )
  // It refuses to run as root.
  const isRoot = process.getuid?.() === 0
  const child = spawn(process.env['THAW_PGBOUNCER'] ?? 'pgbouncer', [...(isRoot ? ['-u', 'nobody'] : []), join(folder, 'pgbouncer.ini')], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.on('data', (text) => (log += text))
  const ended = new Promise<string>((resolve) => {
    child.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'ENOENT' ? MISSING : error.message))
    child.once('exit', (code) => resolve(`PgBouncer ended with code ${code}: ${log}`))
  })
  const pooler = {
    host: '127.0.0.1',
    port,
    urlFor: (url: string) => Object.assign(new URL(url), { hostname: '127.0.0.1', port: String(port) }).href,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM')
      await ended
      await rm(folder, { recursive: true })
    },
  }
  try {
    await Promise.race([isUp(pooler.urlFor(server.url)), ended.then((why) => Promise.reject(new Error(why)))])
  } catch (error) {
    await pooler[Symbol.asyncDispose]()
    throw error
  }
  return pooler
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
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
