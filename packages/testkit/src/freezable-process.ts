import { type ChildProcess, fork } from 'node:child_process'
import { type CallMessage, type ChildMessage, isOurs, type UncaughtOrigin } from './call-wire.ts'
import { capture, describeEnd, type ProcessEnd, quote, watchEnd } from './child-life.ts'
import { unpackError } from './error-wire.ts'
import { freezePid, thawPid } from './freezer.ts'
import { createPendingCalls, type PendingCalls } from './pending-calls.ts'
import { within } from './within.ts'

/** How to start a child process. */
export interface FreezableOptions {
  /** Arguments of the file, in its `process.argv`. */
  readonly args?: readonly string[]
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>
  /** Arguments of Node itself. Default: none, not even those of this process. */
  readonly execArgv?: readonly string[]
  /** Default: that of this process. */
  readonly cwd?: string
  /** How long the file may take to call `serve`. Default: 30 s, for a cold start on a loaded machine. */
  readonly startTimeoutMillis?: number
}

/** An error that the child did not catch. */
export interface UncaughtError {
  readonly origin: UncaughtOrigin
  readonly error: Error
}

/** A child process that can be frozen, and answers calls while it is not. */
export interface FreezableProcess extends AsyncDisposable {
  readonly pid: number
  readonly isFrozen: boolean
  /**
   * Calls a function that the child serves, and resolves with what it returns. Errors of the child come back with name, message, code,
   * stack and cause, as plain `Error`s. A call made while the child is frozen waits in the kernel and is answered after the thaw, like a
   * request that wakes a serverless function.
   *
   * Rejects when the child ends, or after `timeoutMillis` (default: 30 s) without an answer; the time of a freeze counts.
   */
  call<T = unknown>(name: string, payload?: unknown, options?: { readonly timeoutMillis?: number }): Promise<T>
  /**
   * Freezes the process by SIGSTOP, and resolves when the kernel has stopped all of its threads. Sockets stay open, and both clocks go on: see
   * {@link createStoppableClock} for freezes that stop them. Throws if the process has ended.
   */
  freeze(): Promise<void>
  /** Lets it go on, by SIGCONT. Resolves when it runs. Throws if the process has ended. */
  thaw(): Promise<void>
  /** Sends a signal, and resolves when the process has ended. Default: SIGKILL, the only one that reaches a frozen process. */
  kill(signal?: NodeJS.Signals): Promise<ProcessEnd>
  /** Resolves when the process has ended. Never rejects. */
  readonly exited: Promise<ProcessEnd>
  /** Exceptions and rejections that the child did not catch, in order. With the default of `serve` the child survives them. */
  readonly uncaught: readonly UncaughtError[]
  /** What the child wrote so far (the last megabyte). */
  readonly stdout: string
  readonly stderr: string
}

const START_TIMEOUT_MILLIS = 30_000
const CALL_TIMEOUT_MILLIS = 30_000

/**
 * Starts `file` in a child process of the same Node version, and resolves when it has called {@link serve}.
 *
 * The child dies when this process does, even if it is frozen then. Until it is killed it keeps this process alive. Values cross by
 * structured clone, so `Date`, `Map`, `bigint` and `Buffer` survive. Throws, with what the child wrote to stderr, if it ends, or is silent
 * for `startTimeoutMillis`, before it calls {@link serve}.
 */
export async function spawnFreezable(file: string | URL, options: FreezableOptions = {}): Promise<FreezableProcess> {
  const { args = [], env = {}, execArgv = [], cwd, startTimeoutMillis = START_TIMEOUT_MILLIS } = options
  const child = fork(file, args, {
    env: { ...process.env, ...env },
    execArgv: [...execArgv],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
    serialization: 'advanced',
    ...(cwd === undefined ? {} : { cwd }),
  })
  const { freezable, ready } = attach(child, String(file))
  const outcome = await within(Promise.race([ready, freezable.exited]), startTimeoutMillis)
  if (outcome === 'ready') return freezable
  await freezable.kill()
  const what = outcome
    ? `ended (${describeEnd(outcome)}) without calling serve()`
    : `has not called serve() within ${startTimeoutMillis} ms`
  throw new Error(`The child process ${file} ${what}.${quote(freezable.stderr)}`)
}

function attach(child: ChildProcess, file: string): { freezable: FreezableProcess; ready: Promise<'ready'> } {
  const calls = createPendingCalls()
  const uncaught: UncaughtError[] = []
  const stdout = capture(child.stdout)
  const stderr = capture(child.stderr)
  let end: ProcessEnd | undefined
  let isFrozen = false
  const exited = watchEnd(child).then((observed) => {
    end = observed
    calls.rejectAll(new Error(`The child process ${file} ended (${describeEnd(observed)}) before it answered.${quote(stderr())}`))
    return observed
  })
  const ready = new Promise<'ready'>((resolve) => {
    child.on('message', (message) => isOurs(message) && receive(message as ChildMessage, calls, uncaught, () => resolve('ready')))
  })
  const switchTo = async (frozen: boolean): Promise<void> => {
    if (end || child.pid === undefined)
      throw new Error(`The child process ${file} has ended (${end && describeEnd(end)}): it cannot be ${frozen ? 'frozen' : 'thawed'}.`)
    await (frozen ? freezePid(child.pid) : thawPid(child.pid))
    isFrozen = frozen
  }
  const freezable: FreezableProcess = {
    pid: child.pid ?? 0,
    get isFrozen() {
      return isFrozen && !end
    },
    call<T>(name: string, payload?: unknown, { timeoutMillis = CALL_TIMEOUT_MILLIS }: { readonly timeoutMillis?: number } = {}) {
      if (end)
        return Promise.reject(
          new Error(`The child process ${file} has ended (${describeEnd(end)}): it cannot be called.${quote(stderr())}`),
        )
      const late = () =>
        new Error(`The child process ${file} has not answered '${name}' within ${timeoutMillis} ms.${isFrozen ? ' It is frozen.' : ''}`)
      const { id, answer } = calls.open<T>(timeoutMillis, late)
      send(child, { thaw: 'call', id, name, payload }, (error) => calls.reject(id, error))
      // A call made before a thaw may fail before the caller, who still waits for the thaw, can look at it.
      answer.catch(() => {})
      return answer
    },
    freeze: () => switchTo(true),
    thaw: () => switchTo(false),
    async kill(signal = 'SIGKILL') {
      child.kill(signal)
      return exited
    },
    exited,
    uncaught,
    get stdout() {
      return stdout()
    },
    get stderr() {
      return stderr()
    },
    [Symbol.asyncDispose]: async () => void (await freezable.kill()),
  }
  return { freezable, ready }
}

// A channel that is closed tells the callback; a payload that cannot be cloned throws.
function send(child: ChildProcess, message: CallMessage, onError: (error: Error) => void): void {
  try {
    child.send(message, (error) => error && onError(error))
  } catch (error) {
    onError(error instanceof Error ? error : new Error(String(error)))
  }
}

function receive(message: ChildMessage, calls: PendingCalls, uncaught: UncaughtError[], onReady: () => void): void {
  if (message.thaw === 'ready') onReady()
  if (message.thaw === 'answer') calls.resolve(message.id, message.value)
  if (message.thaw === 'failure') calls.reject(message.id, unpackError(message.error))
  if (message.thaw === 'uncaught') uncaught.push({ origin: message.origin, error: unpackError(message.error) })
}
