/** A program in a process of its own, and what it has written so far. */

import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, dirname, join } from 'node:path'

/** Nothing leaves the machine, and nothing is coloured. */
const OFFLINE = {
  ASTRO_TELEMETRY_DISABLED: '1',
  CLOUDFLARE_CF_FETCH_ENABLED: 'false',
  DO_NOT_TRACK: '1',
  NEXT_TELEMETRY_DISABLED: '1',
  NO_COLOR: '1',
  NUXT_TELEMETRY_DISABLED: '1',
  WRANGLER_SEND_METRICS: 'false',
}

export interface ChildProgram {
  readonly child: ChildProcess
  /** To stdout and stderr. */
  output(): string
  /** Resolves with what it wrote. Rejects with that if it fails. */
  ended(): Promise<string>
  /** Ends it and what it has started, at once, if it still runs. */
  kill(): Promise<void>
}

/** Starts a program in a folder, which may be one that is installed there. It ends with this process. */
export function startProgram(folder: string, command: readonly string[], env: Readonly<Record<string, string>> = {}): ChildProgram {
  const [file = '', ...args] = command
  // Without what vitest and pnpm say of themselves: Next.js chooses NODE_ENV, and a database is a test's to name.
  const { NODE_ENV, VITEST, DATABASE_URL, PATH = '', ...rest } = process.env
  const child: ChildProcess = spawn(file, args, {
    cwd: folder,
    env: { ...rest, PATH: [join(folder, 'node_modules/.bin'), dirname(process.execPath), PATH].join(delimiter), ...OFFLINE, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A group of its own: Wrangler and its like start further processes.
    detached: true,
  })
  const atExit = () => killGroup(child)
  process.once('exit', atExit)
  child.once('exit', () => process.off('exit', atExit))
  const isOver = () => child.exitCode !== null || child.signalCode !== null
  let written = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (chunk: string) => {
      written += chunk
    })
  }
  return {
    child,
    output: () => written,
    async ended() {
      if (!isOver()) await once(child, 'exit')
      if (child.exitCode !== 0) throw new Error(`${command.join(' ')} has failed.\n${written}`)
      return written
    },
    async kill() {
      if (isOver()) return
      const ended = once(child, 'exit')
      killGroup(child)
      await ended
    },
  }
}

function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
