/** One call of the handler, as its caller sees it: how long it took, and how it ended. */

import type { FreezableProcess } from '@thaw/testkit'
import type { OrderEvent } from './handler.ts'

/** A call that has ended, or was given up. */
export interface Call {
  readonly event: OrderEvent
  /**
   * Its statement had been sent when the connection was lost, so no client can know whether it was executed.
   * Such a call may fail: repeating it could store an order twice.
   */
  readonly wasSent: boolean
  /** On the clock of `performance.now()`. */
  readonly startedAtMillis: number
  readonly waitMillis: number
  /** What went wrong. `undefined`: it was answered. */
  readonly failure: string | undefined
  /** Given up after {@link CAP_MILLIS}. */
  readonly isCapped: boolean
}

/** No client waits longer for an order API. Plain pg would: for minutes, or forever. */
const CAP_MILLIS = 5_000

/** Calls the handler and watches. A frozen instance gets the call when it thaws. Never rejects. */
export async function observeCall(instance: FreezableProcess, event: OrderEvent, wasSent: boolean): Promise<Call> {
  const startedAt = performance.now()
  const end = (failure: string | undefined, isCapped: boolean): Call => {
    return {
      event,
      wasSent,
      startedAtMillis: startedAt,
      waitMillis: isCapped ? CAP_MILLIS : performance.now() - startedAt,
      failure,
      isCapped,
    }
  }
  let timer: NodeJS.Timeout | undefined
  const capped = new Promise<Call>((resolve) => {
    timer = setTimeout(() => resolve(end(`no answer within ${CAP_MILLIS} ms`, true)), CAP_MILLIS)
  })
  // The testkit's own limit must not come first: it could not be told from an error of the handler.
  const answered = instance.call('invoke', event, { timeoutMillis: 2 * CAP_MILLIS }).then(
    () => end(undefined, false),
    (error: Error) => end(describe(error), false),
  )
  return Promise.race([answered, capped]).finally(() => clearTimeout(timer))
}

function describe(error: Error): string {
  const { code } = error as { code?: unknown }
  return typeof code === 'string' && !error.message.includes(code) ? `${error.message} (${code})` : error.message
}
