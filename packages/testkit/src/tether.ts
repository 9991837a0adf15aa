import { spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import type { Account } from './account.ts'

/** A command that ends when we do, however we end: its shell holds the other end of a pipe that only our life keeps open. */
export interface Tethered {
  /** Settles when the command has ended; with an error if it could not even be started. */
  readonly exited: Promise<{ readonly code: number | null; readonly error?: Error }>
}

// The server must not inherit the pipe, or it would keep itself alive; `detached` keeps a Ctrl-C in the terminal from reaching it before
// us. The folder is deleted only if the tether broke: code that stops the server in order decides for itself. A second attempt, because
// initdb's own child may still be writing.
const SCRIPT = `
exec 3<&0
"$@" </dev/null 3<&- &
command=$!
( cat >/dev/null; touch "$0/orphaned"; kill -INT $command ) <&3 >/dev/null 2>&1 &
watchdog=$!
exec 3<&-
wait $command
code=$?
kill $watchdog 2>/dev/null
if [ -e "$0/orphaned" ]; then
  rm -rf "$0" || { sleep 1; rm -rf "$0"; }
fi
exit $code`

/** Runs a command as `account`, writing its output to the open file `log`. If we die, it gets SIGINT and `folder` is deleted. */
export function spawnTethered(account: Account, folder: string, log: number, command: readonly string[]): Tethered {
  const [file = 'sh', ...args] = [...account.prefix, 'sh', '-c', SCRIPT, folder, ...command]
  const child = spawn(file, args, { ...account.ids, cwd: folder, detached: true, stdio: ['pipe', log, log] })
  child.unref()
  const pipe = child.stdin as Socket | null
  pipe?.on('error', () => {})
  pipe?.unref()
  return {
    exited: new Promise((resolve) => {
      child.once('exit', (code) => resolve({ code }))
      child.once('error', (error) => resolve({ code: null, error }))
    }),
  }
}
