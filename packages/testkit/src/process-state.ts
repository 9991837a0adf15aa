import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

/** Whether a process of that pid exists, ours or not. A zombie still does. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Whether the kernel has stopped all of a process. `undefined` when there is no such process. */
export async function isStopped(pid: number): Promise<boolean | undefined> {
  const states = process.platform === 'linux' ? await threadStates(pid) : await psState(pid)
  return states.length === 0 ? undefined : states.every((state) => state === 'T' || state === 't')
}

// A stop reaches the threads one by one: the first may be stopped while another still writes to a socket.
async function threadStates(pid: number): Promise<string[]> {
  const threads = await readdir(`/proc/${pid}/task`).catch(() => [])
  const stats = await Promise.all(threads.map((thread) => readFile(`/proc/${pid}/task/${thread}/stat`, 'utf8').catch(() => '')))
  // The name of the process, in parentheses, may itself contain spaces and parentheses.
  const states = stats.map((stat) => stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3))
  return states.filter(isLiving)
}

async function psState(pid: number): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-o', 'state=', '-p', String(pid)]).catch(() => ({ stdout: '' }))
  return [stdout.trim().slice(0, 1)].filter(isLiving)
}

// A zombie is only waiting for its parent to notice.
function isLiving(state: string): boolean {
  return state !== '' && state !== 'Z' && state !== 'X'
}
