import { spawn } from 'node:child_process'
import type { Socket } from 'node:net'

/**
 * Kills a child process when we die. The child alone cannot: frozen, it does not notice that we are gone. Returns a function that cancels
 * it, to be called as soon as the child has ended, before its pid is reused.
 */
export function spawnLifeline(pid: number): () => void {
  const watchdog = spawn('sh', ['-c', 'cat >/dev/null; kill -KILL "$0"', String(pid)], {
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watchdog.on('error', () => {})
  watchdog.unref()
  const pipe = watchdog.stdin as Socket | null
  pipe?.on('error', () => {})
  pipe?.unref()
  return () => {
    watchdog.kill('SIGKILL')
    pipe?.destroy()
  }
}
