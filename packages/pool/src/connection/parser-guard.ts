/**
 * The user's code must not throw through pg's parser, which calls it in the middle of what the socket brought: callbacks, listeners of notices,
 * notifications and rows. The parser would take all that it had handed out for new when more comes, and every later answer would go to the wrong statement
 * (pg-protocol/src/parser.ts moves on only behind its loop).
 */

import { throwLater } from '../driver/next-tick.ts'
import type { PeerConnection } from '../driver/peer.ts'

const guarded = new WeakSet<object>()

/** What throws is thrown all the same, uncaught as in node-postgres, but when the parser is done. */
export function guardParser(connection: PeerConnection): void {
  // A client of our own class is watched twice when a pool makes it.
  if (guarded.has(connection)) return
  guarded.add(connection)
  const { emit } = connection
  connection.emit = (name: string | symbol, message?: unknown) => {
    try {
      return emit.call(connection, name, message)
    } catch (error) {
      throwLater(error)
      return true
    }
  }
}
