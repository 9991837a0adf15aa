/** What AWS's runtime for Node gives to handlers and expects of them. */

import type { ClientRequest } from 'node:http'
import { Writable } from 'node:stream'

/** A handler of either kind. */
export type Handler = (...values: unknown[]) => unknown

/** What a streaming handler writes to. */
export interface ResponseStream extends Writable {
  setContentType(type: string): void
  /** Ends it with an error. Before the first byte and after it alike. */
  fail(report: string): void
}

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming')
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark')
const PRELUDE_TYPE = 'application/vnd.awslambda.http-integration-response'

/** Defines the global `awslambda`, as the runtime does before it loads the handler. */
export function defineGlobals(): void {
  const awslambda = {
    streamifyResponse(handler: Handler & Record<symbol, unknown>, options?: { highWaterMark?: number }): Handler {
      handler[STREAMING] = 'response'
      if (typeof options?.highWaterMark === 'number') handler[HIGH_WATER_MARK] = options.highWaterMark
      return handler
    },
    HttpResponseStream: {
      from(stream: ResponseStream, metadata: object): ResponseStream {
        stream.setContentType(PRELUDE_TYPE)
        stream.write(`${JSON.stringify(metadata)}${'\0'.repeat(8)}`)
        return stream
      },
    },
  }
  Object.assign(globalThis, { awslambda })
}

export function isStreaming(handler: Handler): boolean {
  return (handler as unknown as Record<symbol, unknown>)[STREAMING] === 'response'
}

/** Node 24 on Lambda accepts no callback handlers, and recognises them by their third parameter. */
export function refuseCallbacks(handler: Handler): void {
  if (handler.length < 3 || isStreaming(handler)) return
  throw Object.assign(new Error('AWS Lambda has removed support for callback-based function handlers starting with Node.js 24.'), {
    name: 'Runtime.CallbackHandlerDeprecated',
  })
}

export function createResponseStream(outgoing: ClientRequest): ResponseStream {
  const stream = new Writable({
    write: (chunk, encoding, done) => void outgoing.write(chunk, encoding, done),
    final: (done) => void outgoing.end(done),
  }) as ResponseStream
  stream.setContentType = (type) => void outgoing.setHeader('content-type', type)
  stream.fail = (report) => {
    outgoing.addTrailers({
      'Lambda-Runtime-Function-Error-Type': 'Error',
      'Lambda-Runtime-Function-Error-Body': Buffer.from(report).toString('base64'),
    })
    outgoing.end()
  }
  return stream
}
