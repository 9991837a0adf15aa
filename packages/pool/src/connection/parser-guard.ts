/**
 * The user's code must not throw through pg's parser, which calls it while it works through what the socket brought: callbacks, listeners
 * of notices, notifications and rows. When more data comes, the parser would take everything that it has already delivered for new, and
 * every later answer would go to the wrong statement (pg-protocol/src/parser.ts advances only after its loop).
 *
 * Nor may pg miss a message because a listener in front of its own has thrown, or what the user has put in the place of a method of Query:
 * a row would be missing, or the rows of the next statement would come with those of this one.
 */

import { throwLater } from '../driver/next-tick.ts'
import { activeQueryOf, type PeerClient, type PeerConnection } from '../driver/peer.ts'

const MISSED = 'Connection closed: the driver has missed a message of the server, because code that was called with it has thrown'

/** Where the driver itself calls none of the user's code: the message was missed, or dealt with by half. */
const OF_ANSWERS: ReadonlySet<unknown> = new Set([
  'parseComplete',
  'rowDescription',
  'dataRow',
  'portalSuspended',
  'emptyQuery',
  'commandComplete',
])

/** The exception is still thrown, uncaught as in node-postgres, but after the parser has finished. */
export function guardParser(connection: PeerConnection, client: PeerClient): void {
  const { emit } = connection
  let hasMissed = false
  connection.emit = (name: string | symbol, message?: unknown) => {
    // The parser goes on with what it has: nothing of it is delivered any more.
    if (hasMissed && name !== 'error' && name !== 'end') return true
    const active = name === 'readyForQuery' || name === 'errorMessage' ? activeQueryOf(client) : undefined
    try {
      return emit.call(connection, name, message)
    } catch (error) {
      throwLater(error)
      if (!hasMissed && isMissed(client, name, active)) {
        hasMissed = true
        connection.stream.destroy(new Error(MISSED, { cause: error }))
      }
      return true
    }
  }
}

/** @param active the statement that the message belongs to, if it is one with which the driver leaves its statement, and calls its callback. */
function isMissed(client: PeerClient, name: string | symbol, active: unknown): boolean {
  const now = activeQueryOf(client)
  if (active) return active === now
  if (!OF_ANSWERS.has(name)) return false
  // Without a callback its rows are for its listeners, one of which has thrown.
  return name !== 'dataRow' || now?.callback != null
}
