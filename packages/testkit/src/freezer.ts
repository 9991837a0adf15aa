import { setTimeout as sleep } from 'node:timers/promises'
import { isStopped } from './process-state.ts'

// A stop takes well below a millisecond; a process deep in the kernel (a slow disk) takes longer.
const LIMIT_MILLIS = 30_000

/**
 * Freezes any process of ours by SIGSTOP, such as a backend of PostgreSQL, and waits until the kernel has stopped all of its threads.
 *
 * Its sockets stay open, and the kernel keeps receiving bytes, FIN and RST for it. Both of its clocks keep running. Throws if there is no
 * such process, on Windows, and if it has not stopped after 30 s.
 */
export async function freezePid(pid: number): Promise<void> {
  await signalUntil(pid, 'SIGSTOP', true)
}

/** Undoes {@link freezePid} by SIGCONT, and waits until the process runs. Throws as that does. */
export async function thawPid(pid: number): Promise<void> {
  await signalUntil(pid, 'SIGCONT', false)
}

async function signalUntil(pid: number, signal: 'SIGSTOP' | 'SIGCONT', wanted: boolean): Promise<void> {
  if (process.platform === 'win32') throw new Error(`${signal} does not exist on Windows. Run the tests inside WSL.`)
  try {
    process.kill(pid, signal)
  } catch (cause) {
    throw new Error(`Process ${pid} cannot be sent ${signal}: it is gone, or it is not ours.`, { cause })
  }
  for (const limit = Date.now() + LIMIT_MILLIS; Date.now() < limit; await sleep(1)) {
    const stopped = await isStopped(pid)
    if (stopped === wanted) return
    if (stopped === undefined) throw new Error(`Process ${pid} ended while it was sent ${signal}.`)
  }
  throw new Error(`Process ${pid} has not obeyed ${signal} within ${LIMIT_MILLIS} ms.`)
}
