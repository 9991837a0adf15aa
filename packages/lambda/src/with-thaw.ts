/** The wrapper for handlers. */

import { finished, type Writable } from 'node:stream'
import { OptionError, preserveHandler, serveInvocation } from '@thaw/core'
import { began, beginning, type ContextSlice, createStorage, ended } from './invocations.ts'
import { settingsOf, type ThawOptions } from './options.ts'

/** Lambda's context, if it has no other type. That of `@types/aws-lambda` fits, and has more. */
export interface LambdaContext {
  readonly functionName: string
  readonly functionVersion: string
  readonly invokedFunctionArn: string
  readonly memoryLimitInMB: string
  readonly awsRequestId: string
  readonly logGroupName: string
  readonly logStreamName: string
  getRemainingTimeInMillis(): number
}

/**
 * A handler of an event. A method's type, because its parameters are compared bivariantly: `Handler` of `@types/aws-lambda` fits, without a
 * dependency on that package.
 */
export type LambdaHandler = { method(event: unknown, context: LambdaContext, ...rest: never[]): unknown }['method']

/** Any function: a streaming handler, a middy. */
export type AnyHandler = (...values: never[]) => unknown

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming')

/**
 * Wraps a Lambda handler, and returns one of the same type, name, own properties and symbols.
 *
 * - Waits inside end before Lambda's timeout, with a clear error.
 * - When an invocation begins, the clocks are read, and the newest idle connection is probed while the handler is still reading its event.
 * - A client that was not released when the invocation ends is reported and taken back.
 * - `invocation()` returns the current one, anywhere in the handler's async context.
 *
 * For response streaming, wrap what `awslambda.streamifyResponse` returns; the invocation then lasts until the stream has ended.
 *
 * @throws {OptionError} if it is not a function, or takes a callback; or for an impossible or misspelt option.
 */
export function withThaw<Handler extends LambdaHandler>(handler: Handler, options?: ThawOptions): Handler
export function withThaw<Handler extends AnyHandler>(handler: Handler, options?: ThawOptions): Handler
export function withThaw(handler: AnyHandler, options: ThawOptions = {}): AnyHandler {
  const isStreaming = checkHandler(handler)
  const settings = settingsOf(options)
  function wrapped(this: unknown, ...values: never[]): unknown {
    const { invocation, hints } = beginning(values[isStreaming ? 2 : 1] as ContextSlice | undefined, settings)
    began(invocation)
    const call = () => Reflect.apply(handler, this, values)
    return serveInvocation({
      invocation,
      hints,
      createStorage,
      work: isStreaming ? () => untilStreamed(call(), values[1], invocation.signal) : call,
      ended(leaks) {
        ended(invocation)
        settings.report(leaks)
      },
    })
  }
  // Lambda takes a handler with three parameters for one with a callback, and refuses it.
  return preserveHandler(handler, wrapped, isStreaming ? 3 : 2)
}

/** @returns whether it streams. */
function checkHandler(handler: unknown): boolean {
  if (typeof handler !== 'function') {
    throw new OptionError({
      option: 'handler',
      allowed: 'a function',
      message: `withThaw() takes a handler, but received ${handler === null ? 'null' : `a value of type ${typeof handler}`}. Write withThaw(async (event, context) => { … }).`,
    })
  }
  const isStreaming = STREAMING in handler
  if (handler.length < 3 || isStreaming) return isStreaming
  throw new OptionError({
    option: 'handler',
    allowed: 'an async function of (event, context)',
    message: `withThaw() received a handler with ${handler.length} arguments. Lambda removed callbacks in Node.js 24: return a promise instead of calling the third argument. For response streaming, write withThaw(awslambda.streamifyResponse(handler)).`,
  })
}

/** A handler may return before its stream ends: whatever feeds the stream may still be reading from the database. */
async function untilStreamed(result: unknown, stream: Writable | undefined, signal: AbortSignal): Promise<unknown> {
  const value = await result
  // The runtime also sees the stream's errors, and its end by the deadline: neither is ours to report.
  if (typeof stream?.on === 'function') await new Promise<void>((resolve) => finished(stream, { readable: false, signal }, () => resolve()))
  return value
}
