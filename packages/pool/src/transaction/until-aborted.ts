/** A function of the user's that may wait for anything: its signal ends the wait, since the transaction holds its locks meanwhile. */

import { interruptedBefore } from '../connection/interruption.ts'

/** Rejects with the signal's reason as soon as it aborts. The function goes on by itself. */
export function untilAborted<Result>(signal: AbortSignal | undefined, work: () => Promise<Result> | Result): Promise<Result> | Result {
  if (!signal) return work()
  const bounds = { timeoutMillis: 0, signal }
  const over = interruptedBefore(bounds)
  if (over) throw over
  return new Promise((resolve, reject) => {
    const aborted = () => reject(interruptedBefore(bounds))
    const lift = () => signal.removeEventListener('abort', aborted)
    signal.addEventListener('abort', aborted)
    // What it throws at once is a rejection, too.
    const done = (async () => work())()
    done.then(resolve, reject)
    done.then(lift, lift)
  })
}
