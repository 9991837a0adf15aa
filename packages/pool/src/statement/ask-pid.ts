/** Which backend answers, asked by a statement of its own: a pooler makes up the PID that it reports at login. */

import type pg from 'pg'
import { loseQueued, lossOf } from '../connection/lost-statement.ts'
import { type Answer, sendUnseen } from '../connection/unseen.ts'
import { keepContext, runIn } from '../driver/async-context.ts'
import type { PeerClient } from '../driver/peer.ts'
import { type Call, resume } from './call.ts'

/** `told` is called first, if there is an answer, wherever that comes in. Then `next`, in the caller's context. */
export function askPid(client: PeerClient, call: Call, told: (pid: number) => void, next: (unanswered: Error | undefined) => void): void {
  // The answer comes in the context in which the connection was opened, and tracing tools look at the statement's.
  const context = keepContext()
  const answered = (error: Error | null, answer: pg.QueryResult<{ pid: number }>) => {
    if (!error) told(answer.rows[0]?.pid ?? 0)
    const loss = error ? lossOf(error) : undefined
    // The caller's statement stands behind the question: it was not sent, and no tracing tool has seen it.
    const unanswered = loss ? loseQueued(client, loss.cause) : error
    runIn(context, () => resume(call, () => next(unanswered ?? undefined)))
  }
  sendUnseen(client, 'SELECT pg_backend_pid() AS pid', undefined, answered as Answer)
}
