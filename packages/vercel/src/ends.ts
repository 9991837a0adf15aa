/** When has a response of Node's been sent? Until then, whatever produces it, such as a cursor, is still in use. */

interface NodeResponse {
  readonly writableFinished: boolean
  readonly destroyed: boolean
  once(event: 'close', listener: () => void): unknown
}

/** A `ServerResponse`, or an object that imitates one. */
export function isNodeResponse(value: unknown): value is NodeResponse {
  const response = value as { writeHead?: unknown; once?: unknown } | null | undefined
  return typeof response?.writeHead === 'function' && typeof response.once === 'function'
}

/** Calls back when the response has been sent, or its connection is gone. */
export function afterNodeResponse(response: NodeResponse, done: () => void): void {
  if (response.writableFinished || response.destroyed) done()
  else response.once('close', done)
}
