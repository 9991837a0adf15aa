/** A function of the user's that may wait for anything: its signal and the deadline of its invocation end the wait, since the transaction holds its locks meanwhile. */

import { type Clock, currentInvocation } from '@thaw/core'
import { bound, interruptedBefore } from '../connection/interruption.ts'

/** Rejects with the reason as soon as the signal aborts, or the time of the invocation is up. The function goes on by itself. */
export function untilAborted<Result>(
  clock: Clock,
  signal: AbortSignal | undefined,
  work: () => Promise<Result> | Result,
): Promise<Result> | Result {
  if (!signal && !currentInvocation()) return work()
  const bounds = { timeoutMillis: 0, signal }
  const over = interruptedBefore(bounds)
  if (over) throw over
  return new Promise((resolve, reject) => {
    const lift = bound(clock, bounds, reject)
    // What it throws at once is a rejection, too.
    const done = (async () => work())()
    done.then(resolve, reject)
    done.then(lift, lift)
  })
}
