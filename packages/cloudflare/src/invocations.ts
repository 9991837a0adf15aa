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
  runInvocation,
  type Scope,
  trackedPools,
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

/** Calls `handle` inside an invocation of its own, or inside the one that is running in the same scope. */
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
  // One that fails has begun tasks, too.
  return follow(() => runInvocation(invocation, settings.createStorage, handle), endWith, endWith)
}

/** Has the invocation ended when the handler has? Or does the body, or what was handed to `waitUntil`, still use a client? */
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

/** The list may grow: what is read, and each task, can hand more to `waitUntil`. */
async function settled(read: Promise<void> | undefined, tasks: readonly unknown[]): Promise<void> {
  await read
  for (let n = 0; n < tasks.length; n++) await Promise.allSettled([tasks[n]])
}

/** What goes on after the handler. */
interface LaterWork {
  readonly tasks: readonly unknown[]
  /** The runtime's own `waitUntil`. */
  hold(promise: Promise<unknown>): void
}

/** What each invocation that has not ended handed to `waitUntil`. */
const tasksOf = new WeakMap<Invocation, unknown[]>()
/** A Durable Object has one context for all of its requests: it is changed once. */
const heard = new WeakMap<Context, LaterWork['hold']>()

/** Hears what is handed to `waitUntil` from now on. The context stays the runtime's own: nothing else could stand in for it. */
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
