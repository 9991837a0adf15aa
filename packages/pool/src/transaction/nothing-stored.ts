/** The error of a write of which certainly nothing is stored, and that is not sent again. */

import { ConnectionLostError, codeOf, type OutcomeVerdict } from '@thaw/core'
import { isInterruption } from '../connection/interruption.ts'

/** One that its own caller has ended is told as by `pool.query()`: a `DeadlineError`, or the reason of the signal. So it is not run again either. */
export function nothingStored(cause: Error, verdict: OutcomeVerdict, message: string): Error {
  if (isInterruption(cause)) return cause
  return new ConnectionLostError({ verdict, message: `${cause.message}: ${message}`, cause, wire: { code: codeOf(cause) } })
}
