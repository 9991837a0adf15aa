/** Why a connection is given up before a statement is sent on it. The statement goes to another one, or its caller is told that it was not executed. */

import { wireError } from '../driver/errno.ts'

/** One of the pool's own statements, behind which nothing may be sent yet, is not answered. */
export function silent(millis: number): Error {
  return wireError(
    'ETIMEDOUT',
    `Connection was given up before a statement was sent: the server did not answer a question of the pool's own within ${millis} ms`,
  )
}
