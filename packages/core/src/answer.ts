/** When has a response been read? Until then what its body is made from, a cursor for example, is still in use. */

import { type Invocation, resumeInvocation } from './invocation.ts'

interface Answer {
  readonly body: ReadableStream
}

/** A `Response` that has one, of whichever class, or a stream by itself: a server action may answer with one. */
export function answerOf(value: unknown): Answer | undefined {
  // React's references to what only the client has are functions, and throw when they are looked into.
  if (typeof value !== 'object' || value === null) return undefined
  if (isStream(value)) return { body: value }
  const { body } = value as { body?: unknown }
  return isStream(body) ? { body } : undefined
}

function isStream(value: unknown): value is ReadableStream {
  return typeof (value as { getReader?: unknown } | null | undefined)?.getReader === 'function'
}

/**
 * Calls back when whoever reads the body has come to its end, or has given it up. Who reads it is not the handler: what makes the body is called as
 * part of the invocation all the same.
 *
 * The response and its body stay the same objects: a stream around the stream would cost 15 µs. Each way to read one begins at a method of it.
 */
export function afterBody({ body }: Answer, invocation: Invocation, done: () => void): void {
  const { getReader, pipeTo, tee, cancel } = body
  const inside = <Result>(work: () => Result): Result => resumeInvocation(invocation, work)
  /** What reads it to its end, or gives it up; unless somebody else has it. */
  const last = (work: () => Promise<void>): Promise<void> => (body.locked ? work() : inside(work).finally(done))

  function followedReader(mode?: never): ReadableStreamDefaultReader {
    const reader = getReader.call(body, mode) as ReadableStreamDefaultReader
    const { read, cancel: cancelReader } = reader
    reader.read = (...values) => inside(() => read.apply(reader, values))
    reader.cancel = (reason) => inside(() => cancelReader.call(reader, reason))
    // Rejected, too, when the reader goes and leaves the rest to another.
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
        // Of a response that is cloned, the first is the body from then on.
        afterBody({ body: branches[0] }, invocation, done)
        return branches
      },
    },
  }
  for (const descriptor of Object.values(follow)) descriptor.configurable = true
  Object.defineProperties(body, follow)
}
