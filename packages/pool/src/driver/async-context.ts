/**
 * The async context of a waiting caller. What it waits for arrives in another context, above all that of another caller's release: tracing
 * tools would put its statement under the other caller's request.
 */

import { bindInvocation } from '@thaw/core'
import { builtin } from './builtin.ts'

/** Node's AsyncResource: runs in the context in which it was made. */
export interface Context {
  runInAsyncScope<Values extends unknown[], Result>(work: (...values: Values) => Result, thisArg: undefined, ...values: Values): Result
}

interface Hooks {
  readonly AsyncResource?: new (type: string) => Context
}

const AsyncResource = builtin<Hooks>('node:async_hooks')?.AsyncResource

/**
 * The caller's context. Undefined if the runtime has none. An AsyncResource takes 0.04 µs to make and run in;
 * `AsyncLocalStorage.snapshot()`, which does the same, 3 µs (Node 24).
 */
export function keepContext(): Context | undefined {
  return AsyncResource && new AsyncResource('THAW_WAITER')
}

/** Runs `work` in the context. Undefined: in the current one. */
export function runIn<Result>(context: Context | undefined, work: () => Result): Result {
  return context ? context.runInAsyncScope(work, undefined) : work()
}

/** Wraps the callback so that it runs in the caller's current context, whatever calls it: pg calls it in that of the socket. */
export function bindCaller<Values extends unknown[]>(callback: (...values: Values) => void): (...values: Values) => void {
  const context = keepContext()
  // If there is a context, the invocation is in it.
  return context ? (...values) => context.runInAsyncScope(callback, undefined, ...values) : bindInvocation(callback)
}

/** The same for what may be a callback: pg's `query` has it in one of several places. */
export function keepCaller(callback: unknown): unknown {
  return typeof callback === 'function' ? bindCaller(callback as () => void) : callback
}
