import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DataDirectory, run, startFailure } from './data-directory.ts'
import { within } from './within.ts'

/** How a server is stopped: wait for its clients, end their sessions in order, or end as in a crash. */
export type StopMode = 'smart' | 'fast' | 'immediate'

/** One life of a server, from start to stop. */
export interface Postmaster {
  readonly pid: number
  readonly exited: Promise<unknown>
}

const STOP_SIGNALS = { smart: 'SIGTERM', fast: 'SIGINT', immediate: 'SIGQUIT' } as const
// A start takes about 100 ms; crash recovery on a loaded machine takes longer.
const START_LIMIT_MILLIS = 60_000
// The server kills its own children 5 s after an immediate stop, so anything beyond that is a SIGSTOP or an open session.
const STOP_LIMIT_MILLIS = 15_000
const POLL_MILLIS = 5
const RETRY_MILLIS = 50

/** Starts the server and waits until it says that it is ready. Throws with the end of the log when it ends or stays silent. */
export async function startPostmaster(
  directory: DataDirectory,
  port: number,
  settings: Readonly<Record<string, string>>,
): Promise<Postmaster> {
  const limit = Date.now() + START_LIMIT_MILLIS
  for (;;) {
    try {
      return await startOnce(directory, port, settings, limit)
    } catch (error) {
      // The processes of a server that was killed notice a moment later, and keep its memory until then.
      const lastWords = String(error).split('\n').slice(-4).join('\n')
      if (!lastWords.includes('pre-existing shared memory block') || Date.now() >= limit) throw error
      await sleep(RETRY_MILLIS)
    }
  }
}

async function startOnce(
  directory: DataDirectory,
  port: number,
  settings: Readonly<Record<string, string>>,
  limit: number,
): Promise<Postmaster> {
  const stale = await readLockFile(directory)
  const flags = Object.entries({ port: String(port), ...settings }).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const { exited } = await run(directory, [directory.binaries.postgres, '-D', directory.data, ...flags])
  let ended: string | undefined
  exited.then(({ code, error }) => (ended = error?.message ?? `code ${code}`))
  for (; Date.now() < limit; await sleep(POLL_MILLIS)) {
    if (ended !== undefined) throw await startFailure(directory, `the server ended with ${ended}`)
    const lines = (await readLockFile(directory)).split('\n')
    if (READY.includes(lines[7]?.trim() ?? '') && lines.join('\n') !== stale) return { pid: Number(lines[0]), exited }
  }
  throw await startFailure(directory, `the server was not ready within ${START_LIMIT_MILLIS} ms`)
}

/** Stops the server and waits until it has gone. Throws when it is still there after 15 s. */
export async function stopPostmaster(
  { pid, exited }: Postmaster,
  mode: StopMode | 'kill',
  limitMillis: number = STOP_LIMIT_MILLIS,
): Promise<void> {
  signal(pid, mode === 'kill' ? 'SIGKILL' : STOP_SIGNALS[mode])
  if (!(await within(exited, limitMillis))) {
    throw new Error(
      `PostgreSQL (pid ${pid}) was still running ${limitMillis} ms after a ${mode} stop. ` +
        (mode === 'smart' ? "A smart stop waits for every client to leave: use 'fast'." : 'Is one of its processes frozen?'),
    )
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    // It ended by itself (a test killed it), which is what we wanted.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
  }
}

// The eighth line turns into one of these when connections are accepted: what pg_ctl looks at as well.
const READY: readonly string[] = ['ready', 'standby']

function readLockFile(directory: DataDirectory): Promise<string> {
  return readFile(join(directory.data, 'postmaster.pid'), 'utf8').catch(() => '')
}
