/** When has a response been read? Until then, whatever produces its body, such as a cursor, is still in use. */

import { type Invocation, resumeInvocation } from './invocation.ts'

interface Answer {
  readonly body: ReadableStream
}

/** A `Response` that has a body, of whichever class, or a bare stream: a server action may return one. */
export function answerOf(value: unknown): Answer | undefined {
  // React's references to client-only values are functions, and throw when they are inspected.
  if (typeof value !== 'object' || value === null) return undefined
  if (isStream(value)) return { body: value }
  const { body } = value as { body?: unknown }
  return isStream(body) ? { body } : undefined
}

function isStream(value: unknown): value is ReadableStream {
  return typeof (value as { getReader?: unknown } | null | undefined)?.getReader === 'function'
}

/**
 * Calls back when the body has been read to its end, or its reader has cancelled it. The reader is not the handler, but what produces the
 * body still runs as part of the invocation.
 *
 * The response and its body stay the same objects: wrapping the stream in another would cost 15 µs. Instead, each method that begins to
 * read is watched.
 */
export function afterBody({ body }: Answer, invocation: Invocation, done: () => void): void {
  const { getReader, pipeTo, tee, cancel } = body
  const inside = <Result>(work: () => Result): Result => resumeInvocation(invocation, work)
  /** Reads it to its end, or cancels it; unless another reader already has it. */
  const last = (work: () => Promise<void>): Promise<void> => (body.locked ? work() : inside(work).finally(done))

  function followedReader(mode?: never): ReadableStreamDefaultReader {
    const reader = getReader.call(body, mode) as ReadableStreamDefaultReader
    const { read, cancel: cancelReader } = reader
    reader.read = (...values) => inside(() => read.apply(reader, values))
    reader.cancel = (reason) => inside(() => cancelReader.call(reader, reason))
    // Also rejected when the reader releases its lock and leaves the rest to another reader.
    reader.closed.then(done, () => body.locked && done())
    return reader
  }

  async function* values({ preventCancel = false } = {}): AsyncGenerator<unknown> {
    const reader = followedReader()
    try {
      for (let step = await reader.read(); !step.done; step = await reader.read()) yield step.value
    } finally {
      if (!preventCancel) await reader.cancel()
      reader.releaseLock()
    }
  }

  const follow: PropertyDescriptorMap = {
    getReader: { value: followedReader },
    values: { value: values },
    [Symbol.asyncIterator]: { value: values },
    cancel: { value: (reason: unknown) => last(() => cancel.call(body, reason)) },
    pipeTo: { value: (to: WritableStream, options: never) => last(() => pipeTo.call(body, to, options)) },
    pipeThrough: {
      value(through: { readonly readable: ReadableStream; readonly writable: WritableStream }, options: never) {
        body.pipeTo(through.writable, options).catch(() => {})
        return through.readable
      },
    },
    tee: {
      value() {
        const branches = tee.call(body)
        // When a response is cloned, its first branch becomes the body.
        afterBody({ body: branches[0] }, invocation, done)
        return branches
      },
    },
  }
  for (const descriptor of Object.values(follow)) descriptor.configurable = true
  Object.defineProperties(body, follow)
}
