/** The app on this machine: a PostgreSQL from npm, a proxy that can cut its connections, and a parent that freezes its process. */

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type Server } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type FaultProxy, freezePid, type PostgresServer, startFaultProxy, startPostgres, thawPid } from '@thaw/testkit'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const NEXT = createRequire(import.meta.url).resolve('next/dist/bin/next')
/** Longer than a connection is trusted unasked. */
const FREEZE_MILLIS = 1_000

/** The app while it runs. */
export interface LocalApp extends AsyncDisposable {
  readonly url: string
  readonly server: PostgresServer
  /** What it wrote so far. */
  readonly output: string
  /** Sends SIGTERM to Next.js, and resolves when it has ended. */
  stop(): Promise<void>
}

/** Starts `next dev`, or `next start` for what was built. */
export async function startLocally(how: 'dev' | 'start', port = 0, added: Readonly<Record<string, string>> = {}): Promise<LocalApp> {
  const server = await startPostgres()
  const proxy = await startFaultProxy(server)
  await server.query(await readFile(`${ROOT}schema.sql`, 'utf8'))
  const freezer = await startFreezer(proxy)
  const address = `http://127.0.0.1:${(freezer.address() as AddressInfo).port}`
  const env = { DATABASE_URL: proxy.urlFor(server.url), FREEZER_URL: address, ...added }
  const { output, ended, child } = runNext([how, '--hostname', '127.0.0.1', '--port', String(port)], env)
  await Promise.race([ended, new Promise<void>((resolve) => child.stdout.on('data', () => output().includes('Ready in') && resolve()))])
  const stop = async () => {
    child.kill('SIGTERM')
    await ended
  }
  const close = async () => {
    await stop()
    freezer.close()
    freezer.closeAllConnections()
    await proxy.close()
    await server.close()
  }
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(output())?.[0]
  if (child.exitCode !== null || !url) {
    await close()
    throw new Error(`next ${how} did not start.\n${output()}`)
  }
  return {
    url,
    server,
    get output() {
      return output()
    },
    stop,
    [Symbol.asyncDispose]: close,
  }
}

/** Builds the app for `next start`. */
export async function build(): Promise<void> {
  const { output, ended } = runNext(['build'], {})
  const [code] = await ended
  if (code !== 0) throw new Error(`next build has failed.\n${output()}`)
}

function runNext(args: readonly string[], added: Readonly<Record<string, string>>) {
  const child = spawn(process.execPath, [NEXT, ...args], {
    cwd: ROOT,
    env: { ...process.env, NEXT_TELEMETRY_DISABLED: '1', ...added, NODE_ENV: args[0] === 'dev' ? 'development' : 'production' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let written = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      written += chunk
    })
  }
  return { child, output: () => written, ended: once(child, 'exit') as Promise<[number | null]> }
}

/** Freezes the process that asks for it, kills its connections, and lets it go on. It has no say in this meanwhile. */
async function startFreezer(proxy: FaultProxy): Promise<Server> {
  const freezer = createServer(async (request, response) => {
    const { pid } = (await json(request)) as { pid: number }
    await freezePid(pid)
    await sleep(FREEZE_MILLIS)
    const cut = proxy.cut('rst-on-next-byte')
    await thawPid(pid)
    response.end(JSON.stringify({ frozenMillis: FREEZE_MILLIS, cut }))
  })
  freezer.listen(0, '127.0.0.1')
  await once(freezer, 'listening')
  return freezer
}
