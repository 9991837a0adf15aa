/**
 * The user's code must not throw through pg's parser, which calls it while it works through what the socket brought: callbacks, listeners
 * of notices, notifications and rows. When more data comes, the parser would take everything that it has already delivered for new, and
 * every later answer would go to the wrong statement (pg-protocol/src/parser.ts advances only after its loop).
 */

import { throwLater } from '../driver/next-tick.ts'
import type { PeerConnection } from '../driver/peer.ts'

/** The exception is still thrown, uncaught as in node-postgres, but after the parser has finished. */
export function guardParser(connection: PeerConnection): void {
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
