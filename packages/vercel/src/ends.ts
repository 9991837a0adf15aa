/** When has a response been sent? Until then what it is made from, a cursor for example, is still in use. */

import { type Invocation, resumeInvocation } from '@thaw/core'

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

/** All that reads a body but the stream itself. */
const READERS = ['arrayBuffer', 'blob', 'bytes', 'formData', 'json', 'text'] as const

type Read = (this: Answer) => Promise<unknown>

/**
 * Calls back when whoever reads the body has come to its end, or has given it up. The response stays the same object, of the same class; its
 * body is replaced, and only once somebody asks for it. Who reads it is not the handler: what makes the body is called as part of the invocation
 * all the same.
 */
export function afterBody(response: Answer, invocation: Invocation, done: () => void): void {
  const isOwn = Object.hasOwn(response, 'body')
  const { get } = Object.getOwnPropertyDescriptor(isOwn ? response : Object.getPrototypeOf(response), 'body') ?? {}
  // Asked anew, where that is possible: a response that has been cloned has another.
  const { body } = response
  let followed: ReadableStream | undefined
  const replaced: PropertyDescriptorMap = {
    body: { configurable: true, enumerable: true, get: () => (followed ??= follow(get?.call(response) ?? body, invocation, done)) },
  }
  for (const name of READERS) {
    const read = (response as Answer & Partial<Record<typeof name, Read>>)[name]
    if (read) replaced[name] = { configurable: true, value: () => resumeInvocation(invocation, () => read.call(response)).finally(done) }
  }
  Object.defineProperties(response, replaced)
}

function follow(body: ReadableStream, invocation: Invocation, done: () => void): ReadableStream {
  const reader = body.getReader()
  return new ReadableStream(
    {
      async pull(controller) {
        try {
          const chunk = await resumeInvocation(invocation, () => reader.read())
          if (!chunk.done) return controller.enqueue(chunk.value)
          controller.close()
        } catch (error) {
          controller.error(error)
        }
        done()
      },
      cancel: (reason) => resumeInvocation(invocation, () => reader.cancel(reason)).finally(done),
    },
    // Nothing is read ahead of who reads.
    { highWaterMark: 0 },
  )
}
