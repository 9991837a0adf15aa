/** Runs a handler as one invocation: from its call to the end of its response, and of the work passed to `waitUntil`. */

import {
  beginInvocation,
  createInvocation,
  currentInvocation,
  endInvocation,
  type Invocation,
  isThenable,
  type OpenInvocation,
  openScope,
  runInvocation,
  type Scope,
  trackedPools,
} from '@thaw/core'
import { afterBody, hasBody } from './body.ts'
import type { Settings } from './options.ts'

/** The slice that is used here of what the runtime passes to handlers. */
export interface Context {
  waitUntil(promise: Promise<unknown>): void
}

/** What is known of a call. */
export interface Call {
  /** What its sockets' lifetime is tied to. Default: the request. */
  readonly scope?: Scope | undefined
  readonly context: Context | undefined
  /** Aborts when the client disconnects, if there is a client. */
  readonly signal: AbortSignal | undefined
}

let lastId = 0

/** Calls `handle` inside an invocation of its own, or inside the one that is already running in the same scope. */
export function serve(settings: Settings, { scope, context, signal }: Call, handle: () => unknown): unknown {
  const running = currentInvocation()?.scope
  if (running && (!scope || running === scope) && running.isCurrent()) return handle()
  const invocation = createInvocation({
    id: `thaw-${++lastId}`,
    marginMillis: 0,
    clock: settings.clock,
    parentSignal: signal,
    scope: scope ?? openScope(),
  })
  const work = context && listenTo(context, invocation)
  const end = () => {
    tasksOf.delete(invocation)
    settings.report(endInvocation(invocation))
  }
  const endWith = (value?: unknown) => endAfter(value, invocation, { work, end })
  beginInvocation(invocation)
  // A handler that fails may have begun tasks, too.
  return follow(() => runInvocation(invocation, settings.createStorage, handle), endWith, endWith)
}

/** Has the invocation ended when the handler has? Or may the body, or work passed to `waitUntil`, still use a client? */
function endAfter(value: unknown, invocation: OpenInvocation, { work, end }: { work: LaterWork | undefined; end: () => void }): unknown {
  if (!isHolding(invocation)) {
    end()
    return value
  }
  const answer = hasBody(value) ? afterBody(value) : undefined
  const ended = settled(answer?.read, work?.tasks ?? []).then(end)
  work?.hold(ended)
  return answer?.response ?? value
}

function isHolding(invocation: Invocation): boolean {
  return trackedPools().some((member) => member.holds(invocation))
}

/** The list may grow: reading the body, and each task, can pass more to `waitUntil`. */
async function settled(read: Promise<void> | undefined, tasks: readonly unknown[]): Promise<void> {
  await read
  for (let n = 0; n < tasks.length; n++) await Promise.allSettled([tasks[n]])
}

/** What continues after the handler. */
interface LaterWork {
  readonly tasks: readonly unknown[]
  /** The runtime's own `waitUntil`. */
  hold(promise: Promise<unknown>): void
}

/** What each open invocation has passed to `waitUntil`. */
const tasksOf = new WeakMap<Invocation, unknown[]>()
/** A Durable Object has one context for all of its requests: it is patched once. */
const heard = new WeakMap<Context, LaterWork['hold']>()

/** Observes what is passed to `waitUntil` from now on. The context stays the runtime's own object: no replacement would do. */
function listenTo(context: Context, invocation: Invocation): LaterWork {
  const tasks: unknown[] = []
  tasksOf.set(invocation, tasks)
  const known = heard.get(context)
  if (known) return { tasks, hold: known }
  const { waitUntil } = context
  const hold = (promise: Promise<unknown>) => Reflect.apply(waitUntil, context, [promise])
  const value = (promise: Promise<unknown>) => {
    const current = currentInvocation()
    const open = (current && tasksOf.get(current)) ?? tasksOf.get(invocation)
    open?.push(promise)
    hold(promise)
  }
  Object.defineProperty(context, 'waitUntil', { value, configurable: true, writable: true })
  heard.set(context, hold)
  return { tasks, hold }
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
