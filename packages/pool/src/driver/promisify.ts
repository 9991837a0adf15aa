/** pg-pool's convention: with a callback nothing is returned, without one a promise is. */

import { bindCaller } from './async-context.ts'
import { nextTick } from './next-tick.ts'

export type Callback<T> = (error: Error | undefined, value?: T, release?: (error?: Error | boolean) => void) => void

/** The callback to call, and what to return to the caller. */
export interface Promised<T> {
  readonly callback: Callback<T>
  readonly result: Promise<T> | undefined
}

export function promisify<T>(PromiseClass: PromiseConstructor, callback: Callback<T> | undefined): Promised<T> {
  if (callback) return { callback: bindCaller(callback), result: undefined }
  let settle: Callback<T> = () => {}
  const result = new PromiseClass<T>((resolve) => {
    let isSettled = false
    settle = (error, value) => {
      // A wrapper of the user's may call back twice, and the second failure would be handled nowhere.
      if (isSettled) return
      isSettled = true
      if (error) failAtCaller(PromiseClass, error, resolve)
      else resolve(value as T)
    }
  })
  return { callback: settle, result }
}

/** The same bargain, for a call that fails before it has begun. */
export function refuse<T>(PromiseClass: PromiseConstructor, callback: Callback<T> | undefined, message: string): Promise<T> | undefined {
  if (!callback) return PromiseClass.reject(new Error(message))
  callback(new Error(message))
  return undefined
}

/** It may be answered in two ways: the first one counts. */
export function firstOf<T>(callback: Callback<T>): Callback<T> {
  let isTold = false
  return (...results) => {
    if (isTold) return
    isTold = true
    callback(...results)
  }
}

/** For a call whose arguments are wrong, or throw when they are read. It hears of that as of every other failure: not before it has its promise. */
export function failLater<T>(PromiseClass: PromiseConstructor, callback: Callback<T> | undefined, error: unknown): Promise<T> | undefined {
  const promised = promisify(PromiseClass, callback)
  nextTick(() => promised.callback(error as Error))
  return promised.result
}

/**
 * As in node-postgres: a stack that leads back to the caller, not to the socket's callback. But an extra promise only for an error. What
 * the caller awaits must be chained to it before it fails: V8 follows that chain to find the caller.
 */
function failAtCaller<T>(PromiseClass: PromiseConstructor, error: Error, resolve: (failing: Promise<T>) => void): void {
  let fail = (_error: Error) => {}
  const failing = new PromiseClass<T>((_, reject) => {
    fail = reject
  })
  resolve(failing.catch(leadToCaller))
  fail(error)
}

function leadToCaller(error: Error): never {
  // The reason of an AbortSignal is whatever its owner made it: if it is frozen, it keeps its stack.
  if (Object.isExtensible(error)) Error.captureStackTrace(error)
  throw error
}

/** What a callback throws is uncaught, as with node-postgres, and no rejection of a promise that its caller does not have. */
export function answerBy<T>(done: Promise<T>, { callback, result }: Promised<T>): void {
  if (result) done.then((value) => callback(undefined, value), callback)
  else
    done.then(
      (value) => nextTick(() => callback(undefined, value)),
      (error: Error) => nextTick(() => callback(error)),
    )
}
