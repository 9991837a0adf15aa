/** When has a response been sent? Until then what it is made from, a cursor for example, is still in use. */

interface NodeResponse {
  readonly writableFinished: boolean
  readonly destroyed: boolean
  once(event: 'close', listener: () => void): unknown
}

/** A `ServerResponse`, or what is made in its image. */
export function isNodeResponse(value: unknown): value is NodeResponse {
  const response = value as { writeHead?: unknown; once?: unknown } | null | undefined
  return typeof response?.writeHead === 'function' && typeof response.once === 'function'
}

/** Calls back when the response has been sent, or its connection is gone. */
export function afterNodeResponse(response: NodeResponse, done: () => void): void {
  if (response.writableFinished || response.destroyed) done()
  else response.once('close', done)
}

interface Answer {
  readonly body: ReadableStream
}

/** A `Response` that has one, of whichever class. */
export function hasBody(value: unknown): value is Answer {
  const { body } = (value ?? {}) as { body?: { getReader?: unknown } | null }
  return typeof body?.getReader === 'function'
}

/**
 * Calls back when whoever reads the body has come to its end, or has given it up. The response stays the same object, of the same class; its
 * body is replaced, and only once somebody asks for it.
 */
export function afterBody(response: Answer, done: () => void): void {
  const { body } = response
  let followed: ReadableStream | undefined
  Object.defineProperty(response, 'body', { configurable: true, enumerable: true, get: () => (followed ??= follow(body, done)) })
}

function follow(body: ReadableStream, done: () => void): ReadableStream {
  const reader = body.getReader()
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const chunk = await reader.read()
          if (!chunk.done) return controller.enqueue(chunk.value)
          controller.close()
        } catch (error) {
          controller.error(error)
        }
        done()
      },
      cancel: (reason) => reader.cancel(reason).finally(done),
    },
    // Nothing is read ahead of who reads.
    { highWaterMark: 0 },
  )
}
