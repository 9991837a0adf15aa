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
  const result = new PromiseClass<T>((resolve) => {
    settle = (error, value) => (error ? resolve(PromiseClass.reject(error).catch(leadToCaller)) : resolve(value as T))
  })
  return { callback: settle, result }
}

/** As node-postgres does: a stack that leads back to the caller, not to the socket's callback. But only where there is an error. */
function leadToCaller(error: Error): never {
  Error.captureStackTrace(error)
  throw error
}
