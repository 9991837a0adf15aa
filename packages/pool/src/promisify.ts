/** pg-pool's bargain with its callers: with a callback nothing is returned, without one a promise is. */

import { bindInvocation } from '@thaw/core'

export type Callback<T> = (error: Error | undefined, value?: T, release?: (error?: Error | boolean) => void) => void

/** The callback to call, and what to return to the caller. */
export interface Promised<T> {
  readonly callback: Callback<T>
  readonly result: Promise<T> | undefined
}

export function promisify<T>(PromiseClass: PromiseConstructor, callback: Callback<T> | undefined): Promised<T> {
  if (callback) return { callback: bindInvocation(callback), result: undefined }
  let settle: Callback<T> = () => {}
  const result = new PromiseClass<T>((resolve, reject) => {
    settle = (error, value) => (error ? reject(error) : resolve(value as T))
  }).catch((error) => {
    // As node-postgres does: a stack that leads back to the caller, not to the socket's callback.
    Error.captureStackTrace(error)
    throw error
  })
  return { callback: (error, value) => settle(error, value), result }
}
