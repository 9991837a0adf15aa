/** Running a handler as one invocation: from its call to the end of its answer, and of the work that was handed to `waitUntil`. */

import {
  beginInvocation,
  createInvocation,
  currentInvocation,
  endInvocation,
  type Invocation,
  isThenable,
  type OpenInvocation,
  openScope,
  poolMembers,
  runInvocation,
  type Scope,
} from '@thaw/core'
import { afterBody, hasBody } from './body.ts'
import type { Settings } from './options.ts'

/** What the runtime gives to handlers, as far as it is used here. */
export interface Context {
  waitUntil(promise: Promise<unknown>): void
}

/** What is known of a call. */
export interface Call {
  /** What its sockets live in. Default: the request. */
  readonly scope?: Scope | undefined
  readonly context: Context | undefined
  /** Aborts when the client hangs up, where there is one. */
  readonly signal: AbortSignal | undefined
}

let lastId = 0

/** Calls `work` inside an invocation of its own, or inside the one that is running in the same scope. */
export function serve(settings: Settings, { scope, context, signal }: Call, work: () => unknown): unknown {
  const running = currentInvocation()?.scope
  if (running && (!scope || running === scope) && running.isCurrent()) return work()
  const invocation = createInvocation({
    id: `thaw-${++lastId}`,
    marginMillis: 0,
    clock: settings.clock,
    parentSignal: signal,
    scope: scope ?? openScope(),
  })
  const later = context && listenTo(context)
  const end = () => settings.report(endInvocation(invocation))
  beginInvocation(invocation)
  return follow(
    () => runInvocation(invocation, settings.createStorage, work),
    (value) => endAfter(value, invocation, { context, later, end }),
    end,
  )
}

/** Has the invocation ended when the handler has? Or does the body, or what was handed to `waitUntil`, still use a client? */
function endAfter(
  value: unknown,
  invocation: OpenInvocation,
  { context, later, end }: { context: Context | undefined; later: readonly Promise<unknown>[] | undefined; end: () => void },
): unknown {
  if (!isHolding(invocation)) {
    end()
    return value
  }
  const waits: Promise<unknown>[] = [...(later ?? [])]
  const answer = hasBody(value) ? afterBody(value) : undefined
  if (answer) waits.push(answer.read)
  const ended = Promise.allSettled(waits).then(end)
  context?.waitUntil(ended)
  return answer?.response ?? value
}

function isHolding(invocation: Invocation): boolean {
  return poolMembers().some((member) => member.holds(invocation))
}

/** What is handed to `waitUntil` from now on. The context stays the runtime's own: nothing else could stand in for it. */
function listenTo(context: Context): readonly Promise<unknown>[] {
  const later: Promise<unknown>[] = []
  const { waitUntil } = context
  const value = (promise: Promise<unknown>) => {
    later.push(promise)
    Reflect.apply(waitUntil, context, [promise])
  }
  Object.defineProperty(context, 'waitUntil', { value, configurable: true, writable: true })
  return later
}

function follow(work: () => unknown, done: (value: unknown) => unknown, failed: () => void): unknown {
  const fail = (error: unknown): never => {
    failed()
    throw error
  }
  let result: unknown
  try {
    result = work()
  } catch (error) {
    fail(error)
  }
  return isThenable(result) ? result.then(done, fail) : done(result)
}
