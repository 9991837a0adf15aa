import { spawn } from 'node:child_process'
import type { Socket } from 'node:net'

/**
 * Kills a child process when we die, and deletes its `folder`. The child alone cannot: frozen, it does not notice that we are gone. Returns a function that
 * cancels it, to be called as soon as the child has ended, before its pid is reused.
 */
export function spawnLifeline(pid: number, folder?: string): () => void {
  const script = 'cat >/dev/null; kill -KILL "$0"; test $# = 0 || rm -rf "$1"'
  const watchdog = spawn('sh', ['-c', script, String(pid), ...(folder === undefined ? [] : [folder])], {
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
