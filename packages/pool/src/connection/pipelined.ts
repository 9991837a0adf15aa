/** Pipeline mode: statements are sent without waiting for the answers to earlier ones. Whose is each answer? */

import { nextTick } from '../driver/next-tick.ts'
import { noteExecution, type PeerClient, queuedQueriesOf, sentQueriesOf } from '../driver/peer.ts'
import { inOneWrite } from './one-write.ts'
import type { Vitals } from './vitals.ts'

/**
 * Sends what is queued. pg lists a statement as sent when it has been written; but while it writes it tells of a value that cannot be sent, and what that callback
 * throws leaves the statement out of the list: each later answer would go to the statement in front of its own. So it is listed first.
 *
 * @param rest what pg does when its queue is empty.
 * @throws what a callback has thrown, when all is sent.
 */
export function sendPipelined(client: PeerClient, vitals: Vitals, rest: () => void): void {
  const { connection } = client
  const queue = queuedQueriesOf(client)
  const sent = sentQueriesOf(client)
  const thrown: unknown[] = []
  // Not before the login. And what is still in the queue when the connection is lost is known not to have been sent.
  const isOpen = () => client.readyForQuery !== undefined && client._queryable !== false && connection.stream.writable
  for (let [query] = queue; query && isOpen(); query = queue[0]) {
    const next = query
    const submit = () => {
      queue.shift()
      sent.push(next)
      const error = next.submit?.(connection)
      if (!error) return
      sent.pop()
      nextTick(() => next.handleError(error, connection))
    }
    noteExecution(client)
    try {
      inOneWrite(client, vitals, submit)
    } catch (error) {
      thrown.push(error)
    }
  }
  if (queue.length === 0) rest()
  if (thrown.length > 0) throw thrown[0]
}
