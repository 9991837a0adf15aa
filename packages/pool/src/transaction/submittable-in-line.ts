/** Cursors, streams and other objects of the user's that are queries themselves: pg hands them back at once, so they may be used before they are sent. */

import { cursorOf, isSubmittable, type PeerQuery } from '../driver/peer.ts'
import type { Turn } from './line.ts'

export interface Submittable {
  callback?: unknown
  handleError?(error: Error, connection: object): void
}

/** As pg does it: the object tells of the error. */
export function failSubmittable(query: Submittable, error: Error, callback?: unknown): unknown {
  if (typeof callback === 'function') query.callback ??= callback
  queueMicrotask(() => query.handleError?.(error, {}))
  return query
}

/** A cursor that is closed while it waits is not sent: nothing would close what the server opens for it. Returns whether it may be sent, and stops watching. */
function watchInLine(query: object): () => boolean {
  const cursor = cursorOf(query as PeerQuery)
  if (!cursor) return () => true
  let isClosed = false
  const { close } = cursor
  cursor.close = (callback) => {
    isClosed = true
    cursor.state = 'done'
    for (const [, read] of cursor._queue.splice(0)) read(null, [])
    return close.call(cursor, callback)
  }
  return () => {
    if (!isClosed) cursor.close = close
    return !isClosed
  }
}

/** Its turn. `failed` hears why it was not sent, as the object itself does. */
export function turnOf(
  query: Submittable & object,
  callback: unknown,
  send: (mayBeSent: () => boolean) => Promise<unknown>,
  failed: (error: Error) => void,
): Turn {
  const refuse = (error: Error) => void failSubmittable(query, error, callback)
  const mayBeSent = watchInLine(query)
  return {
    refuse,
    send: () =>
      void send(mayBeSent).catch((error: Error) => {
        failed(error)
        refuse(error)
      }),
  }
}

const COPY = /^\s*(?:\/\*.*?\*\/\s*|--[^\n]*\n\s*)*copy\b/is

/** Sent as it is, by itself: it speaks to the server in a way of its own. */
export function hasOwnProtocol(config: unknown, text: string = ''): boolean {
  const { rows, portal, binary } = (config ?? {}) as { rows?: unknown; portal?: unknown; binary?: unknown }
  return COPY.test(text) || isSubmittable(config) || Boolean(rows || portal || binary)
}
