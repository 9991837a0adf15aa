/** An invocation that answers a request: it has ended when its handler has, what it answers with has been read, and nothing is left to do after that. */

import { afterBody, answerOf } from './answer.ts'
import { type Deadline, startAbsoluteDeadline } from './deadline.ts'
import { countRequest, type Leak, trackedPools } from './invocation.ts'
import { pollSockets } from './poll-sockets.ts'
import { isThenable } from './thenable.ts'
import { beginInvocation, createInvocation, endInvocation, type InvocationParts, type OpenInvocation } from './wrapper.ts'

/** What a platform knows of a request. */
export interface RequestParts extends InvocationParts {
  /** Holds the instance until the promise settles, where it would be suspended otherwise. */
  readonly waitUntil?: ((promise: Promise<unknown>) => void) | undefined
  /** It has ended, and these clients had not been given back. The instance is held until this has returned. */
  readonly ended: (leaks: readonly Leak[]) => void
}

/** The invocation that a request is served by. */
export interface RequestInvocation extends OpenInvocation {
  /** There is one more thing to do before it has ended. Returns what says that it is done. */
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
  // Inherits, for its deadline is read anew each time.
  const invocation: RequestInvocation = Object.assign(Object.create(opened) as OpenInvocation, { part, letGo })
  // With others running, the process cannot have been suspended since the last look.
  beginInvocation(invocation, { newInvocation: countRequest(1) === 1 })
  // Else the instance could be suspended between the response and the end, and nothing could hold it any more.
  waitUntil?.(held)
  const { clock, endsAt } = parts
  // The platform has given it up by then: what it still holds is taken back, for it may never return.
  const overdue = () => {
    if (endsAt !== undefined && !isOver) alarm = startAbsoluteDeadline(clock, Math.max(0, endsAt - clock.wall()), end, true)
  }
  if (invocation.signal.aborted) overdue()
  else invocation.signal.addEventListener('abort', overdue, { once: true })
  return invocation
}

/** What came of a handler that was called for a request. */
export interface Handled<Result> {
  readonly result: Result
  /** The first thing that it was given: a `Request`, for which HEAD means that nobody reads the body. */
  readonly request: unknown
  readonly invocation: RequestInvocation
  readonly clock: InvocationParts['clock']
  /** Says that this part of the invocation is done. */
  readonly done: () => void
  /** The answer is there, and whoever reads its body needs no client for that. */
  readonly unheld?: (() => void) | undefined
}

/** Says that a handler is done when its result has come and, if it is a response or a stream, that has been read. Returns the result, or a promise of the same. */
export function endWithAnswer<Result>({ result, request, invocation, clock, done, unheld }: Handled<Result>): Result {
  const isInUse = () => trackedPools().some((member) => member.holds(invocation))
  const settle = <Value>(value: Value): Value => {
    const answer = answerOf(value)
    if (!answer) {
      done()
      return value
    }
    // Who closes the body gets the chance to give his client back afterwards.
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
