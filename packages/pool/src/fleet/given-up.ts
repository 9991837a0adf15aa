/** Why a connection is given up before a statement is sent on it. The statement goes to another one, or its caller is told that it was not executed. */

import { wireError } from '../driver/errno.ts'

/** The lock that proves that no other runtime ends the session was not had in time. */
export function unproven(): Error {
  return wireError(
    'ETIMEDOUT',
    'Connection was given up before a statement was sent: the server did not say in time that no other runtime is ending its session',
  )
}

/** The trust in it was over. */
export function tooLate(): Error {
  return wireError(
    'ETIMEDOUT',
    'Connection was given up before a statement was sent: the process stood still, and others may have ended the session meanwhile',
  )
}

/** One of the pool's own statements, behind which nothing may be sent yet, is not answered. */
export function silent(millis: number): Error {
  return wireError(
    'ETIMEDOUT',
    `Connection was given up before a statement was sent: the server did not answer a question of the pool's own within ${millis} ms`,
  )
}

/** A pooler is there now. It has answered what was sent later, so the statement has been dropped, or its answer has gone astray. */
export function unanswered(): Error {
  return wireError(
    'ECONNRESET',
    "Connection was given up: a pooler is at an address where PostgreSQL itself answered before, and does not answer the statement behind a question of the pool's own",
  )
}
