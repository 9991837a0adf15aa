/**
 * An invocation that answers a request. It ends when its handler has returned, its response has been read, and nothing is left to do after
 * that.
 */

import { afterBody, answerOf } from './answer.ts'
import { type Deadline, startAbsoluteDeadline } from './deadline.ts'
import { countRequest, type Leak, trackedPools } from './invocation.ts'
import { pollSockets } from './poll-sockets.ts'
import { isThenable } from './thenable.ts'
import { beginInvocation, createInvocation, endInvocation, type InvocationParts, type OpenInvocation } from './wrapper.ts'

/** What a platform knows of a request. */
export interface RequestParts extends InvocationParts {
  /** Keeps the instance awake until the promise settles, where it could otherwise be suspended. */
  readonly waitUntil?: ((promise: Promise<unknown>) => void) | undefined
  /** The invocation has ended, and these clients had not been released. The instance is kept awake until this has returned. */
  readonly ended: (leaks: readonly Leak[]) => void
}

/** The invocation that serves a request. */
export interface RequestInvocation extends OpenInvocation {
  /** There is one more thing to do before it ends. Returns a function that says it is done. */
  part(): () => void
  /** From here on the instance may be suspended before the invocation ends: nothing would be left behind. */
  letGo(): void
}

/** Begins an invocation, which ends with the last of its parts; open the first one before you run anything. */
export function openRequest({ waitUntil, ended, ...parts }: RequestParts): RequestInvocation {
  const opened = createInvocation(parts)
  let missing = 0
  let isOver = false
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  let alarm: Deadline | undefined
  const letGo = once(() => {
    countRequest(-1)
    release()
  })
  const end = () => {
    if (isOver) return
    isOver = true
    alarm?.cancel()
    try {
      ended(endInvocation(invocation))
    } finally {
      letGo()
    }
  }
  const part = () => {
    missing++
    return once(() => {
      missing--
      if (missing === 0) end()
    })
  }
  // Inherits, because its deadline is read anew each time.
  const invocation: RequestInvocation = Object.assign(Object.create(opened) as OpenInvocation, { part, letGo })
  // While others run, the process cannot have been suspended since the last look.
  beginInvocation(invocation, { newInvocation: countRequest(1) === 1 })
  // Otherwise the instance could be suspended between the response and the end, when nothing keeps it awake.
  waitUntil?.(held)
  const { clock, endsAt } = parts
  // By then the platform has given it up: the clients it still holds are taken back, because it may never return.
  const overdue = () => {
    if (endsAt !== undefined && !isOver) alarm = startAbsoluteDeadline(clock, Math.max(0, endsAt - clock.wall()), end, true)
  }
  if (invocation.signal.aborted) overdue()
  else invocation.signal.addEventListener('abort', overdue, { once: true })
  return invocation
}

/** The result of a handler that was called for a request. */
export interface Handled<Result> {
  readonly result: Result
  /** The handler's first argument: a `Request`, for which HEAD means that the body is not read. */
  readonly request: unknown
  readonly invocation: RequestInvocation
  readonly clock: InvocationParts['clock']
  /** Says that this part of the invocation is done. */
  readonly done: () => void
  /** The response is there, and reading its body needs no client. */
  readonly unheld?: (() => void) | undefined
}

/**
 * Reports a handler as done when its result is available and, if that is a response or a stream, has been read. Returns the result, or a
 * promise of it.
 */
export function endWithAnswer<Result>({ result, request, invocation, clock, done, unheld }: Handled<Result>): Result {
  const isInUse = () => trackedPools().some((member) => member.holds(invocation))
  const settle = <Value>(value: Value): Value => {
    const answer = answerOf(value)
    if (!answer) {
      done()
      return value
    }
    // A reader that cancels the body gets the chance to release its client afterwards.
    afterBody(answer, invocation, () => (isInUse() ? pollSockets(clock, done) : done()))
    if (!isInUse()) unheld?.()
    if ((request as { method?: unknown } | undefined)?.method === 'HEAD') answer.body.cancel().catch(() => {})
    return value
  }
  const fail = (error: unknown) => {
    done()
    throw error
  }
  return isThenable(result) ? (result.then(settle, fail) as Result) : settle(result)
}

function once(work: () => void): () => void {
  let isDone = false
  return () => {
    if (isDone) return
    isDone = true
    work()
  }
}
