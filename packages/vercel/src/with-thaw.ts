/** The wrapper: tells pools which invocation is running, until when, and that it has ended. */

import {
  endWithAnswer,
  isThenable,
  OptionError,
  openRequest,
  preserveHandler,
  type RequestInvocation,
  runInvocation,
  watchPools,
} from '@thaw/core'
import { attachNew } from './attach-pool.ts'
import { backgroundOf } from './background.ts'
import { endOf, holdInstance, requestContext } from './context.ts'
import { afterNodeResponse, isNodeResponse } from './ends.ts'
import { type Settings, settingsOf, type ThawOptions } from './options.ts'

/** Any handler: `(request, response)`, `(request)`, `(request, context)`. */
type HandlerFunction = (...args: never[]) => unknown
/** An object with a `fetch` of its own: `export default { fetch }`, a Hono app. */
interface FetchHandler {
  readonly fetch: HandlerFunction
}
/** What Vercel calls. */
export type VercelHandler = HandlerFunction | FetchHandler

let lastId = 0
let isWatching = false

/**
 * Wraps a handler of a Vercel function, on Node.js or Edge: `(request, response)`, an Express app, a `GET` or `POST` export, an object with
 * `fetch`. Returns one of the same type, name, length and properties.
 *
 * Inside, every wait of a Thaw pool ends before Vercel ends the invocation, and says so; the newest idle connection is probed when the
 * invocation begins; clients that were not released are taken back when it ends; and every Thaw pool is drained, as by {@link attachPool}.
 * The invocation ends when the handler has returned, its response has been sent, and everything that it passed to `waitUntil` has settled.
 * Pools work without `withThaw` too.
 *
 * @throws {OptionError} if it is not given a handler, or for an impossible or misspelt option, before anything is called.
 */
export function withThaw<Handler extends VercelHandler>(handler: Handler, options: ThawOptions = {}): Handler {
  const settings = settingsOf(options)
  if (typeof handler === 'function') {
    const call = wrap(handler, settings)
    drainAll(settings)
    // Not a copy: an Express app is still being built, and must receive later changes.
    return new Proxy(handler, { apply: (_, self, args) => Reflect.apply(call, self, args) })
  }
  const fetch = (handler as Partial<FetchHandler> | null)?.fetch
  if (typeof fetch !== 'function') throw noHandler(handler)
  const wrapped = preserveHandler(handler, Object.create(Object.getPrototypeOf(handler)) as FetchHandler)
  // Called on the original object: private members exist only there.
  const call = wrap((...args: never[]) => Reflect.apply(fetch, handler, args), settings)
  Object.defineProperty(wrapped, 'fetch', { value: preserveHandler(fetch, call), enumerable: true, configurable: true, writable: true })
  drainAll(settings)
  return wrapped as Handler
}

/** Every pool, before its first connection: what is used while a body is being sent must be watched, too. */
function drainAll({ clock }: Settings): void {
  if (isWatching) return
  isWatching = true
  watchPools(({ pool }) => attachNew(pool, clock))
}

function wrap(handler: HandlerFunction, settings: Settings): HandlerFunction {
  return function (this: unknown, ...args: never[]) {
    const open = begin(args[0], settings)
    let result: unknown
    try {
      result = runInvocation(open.invocation, settings.createStorage, () => Reflect.apply(handler, this, args))
    } catch (error) {
      open.end()
      throw error
    }
    const response: unknown = args[1]
    if (isNodeResponse(response)) return endWithResponse(result, response, open)
    const { invocation, end } = open
    return endWithAnswer({ result, request: args[0], invocation, clock: settings.clock, done: end, unheld: invocation.letGo })
  }
}

/** The platform waits for the response alone; a `finally` that runs after it is still part of the invocation. */
function endWithResponse(result: unknown, response: Parameters<typeof afterNodeResponse>[0], { end }: Open): unknown {
  if (!isThenable(result)) {
    afterNodeResponse(response, end)
    return result
  }
  return result.then(
    (value) => {
      afterNodeResponse(response, end)
      return value
    },
    (error: unknown) => {
      afterNodeResponse(response, end)
      throw error
    },
  )
}

/** What begins an invocation, and what reports that it may end. */
interface Open {
  readonly invocation: RequestInvocation
  /** The handler has returned, and the response has been sent. Work passed to `waitUntil` may continue. */
  readonly end: () => void
}

function begin(request: unknown, { marginMillis, clock, report }: Settings): Open {
  const context = requestContext()
  const { signal } = (request ?? {}) as { signal?: unknown }
  const invocation = openRequest({
    id: context?.headers?.['x-vercel-id'] ?? `thaw-${++lastId}`,
    endsAt: endOf(context),
    marginMillis,
    clock,
    parentSignal: signal instanceof AbortSignal ? signal : undefined,
    waitUntil: context?.waitUntil && ((promise) => holdInstance(context, promise)),
    ended: report,
  })
  const background = backgroundOf(context)
  const done = invocation.part()
  return { invocation, end: () => background.whenDone(done) }
}

function noHandler(given: unknown): OptionError {
  return new OptionError({
    option: 'handler',
    allowed: 'a function, or an object with a fetch function',
    message: `withThaw() takes a handler, but received ${given === null ? 'null' : `a value of type ${typeof given}`}. Write withThaw((request, response) => { … }), export const GET = withThaw((request) => …), or export default withThaw({ fetch }).`,
  })
}
