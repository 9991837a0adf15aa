/** The wrapper: tells pools which invocation is running, until when, and that it has ended. */

import {
  afterBody,
  beginInvocation,
  createInvocation,
  type Deadline,
  endInvocation,
  hasBody,
  type OpenInvocation,
  OptionError,
  poolMembers,
  preserveHandler,
  runInvocation,
  startDeadline,
  sweep,
  watchPools,
} from '@thaw/core'
import { attachNew } from './attach-pool.ts'
import { backgroundOf } from './background.ts'
import { endOf, holdInstance, type RequestContext, requestContext } from './context.ts'
import { afterNodeResponse, isNodeResponse } from './ends.ts'
import { type Settings, settingsOf, type ThawOptions } from './options.ts'

/** Any handler: `(request, response)`, `(request)`, `(request, context)`. */
type HandlerFunction = (...args: never[]) => unknown
/** What has a `fetch` of its own: `export default { fetch }`, a Hono app. */
interface FetchHandler {
  readonly fetch: HandlerFunction
}
/** What Vercel calls. */
export type VercelHandler = HandlerFunction | FetchHandler

/** How many invocations hold the instance. */
let holding = 0
let lastId = 0
let isWatching = false

/**
 * Wraps a handler of a Vercel function, on Node.js or Edge: `(request, response)`, an Express app, a `GET` or `POST` export, an object with
 * `fetch`. What comes out has the type, the name, the length and the properties of what went in.
 *
 * Inside, every wait of a Thaw pool ends before Vercel ends the invocation, and says so; the newest connection is proven when the invocation
 * begins; clients that were never given back are taken back when it ends; and every Thaw pool is drained as by {@link attachPool}. The invocation
 * ends when the handler has, its response has been sent, and all is done that it passed to `waitUntil`. Without `withThaw` pools work too.
 *
 * @throws {OptionError} when it is given no handler, or for an absurd or misspelt option, before anything is called.
 */
export function withThaw<Handler extends VercelHandler>(handler: Handler, options: ThawOptions = {}): Handler {
  const settings = settingsOf(options)
  if (typeof handler === 'function') {
    const call = wrap(handler, settings)
    drainAll(settings)
    // Not a copy: an Express app goes on being built, and must hear of it.
    return new Proxy(handler, { apply: (_, self, args) => Reflect.apply(call, self, args) })
  }
  const fetch = (handler as Partial<FetchHandler> | null)?.fetch
  if (typeof fetch !== 'function') throw noHandler(handler)
  const wrapped = preserveHandler(handler, Object.create(Object.getPrototypeOf(handler)) as FetchHandler)
  // Called on what was given: private members are there only.
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
    return isNodeResponse(response) ? endWithResponse(result, response, open) : endWithBody(result, args[0], open, settings)
  }
}

/** The platform waits for the response alone; a `finally` that comes later than it is part of the invocation all the same. */
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

/** Ends the invocation when the handler has ended and the body has been read. */
function endWithBody(result: unknown, request: unknown, { invocation, end, letGo }: Open, { clock }: Settings): unknown {
  const settle = (value: unknown) => {
    if (!hasBody(value)) {
      end()
      return value
    }
    const isInUse = () => poolMembers().some((member) => member.holds(invocation))
    // Who closes the body gets the chance to give his client back afterwards.
    afterBody(value, invocation, () => (isInUse() ? sweep(clock, end) : end()))
    if (!isInUse()) letGo()
    if ((request as Partial<Request> | undefined)?.method === 'HEAD') value.body.cancel().catch(() => {})
    return value
  }
  const fail = (error: unknown) => {
    end()
    throw error
  }
  return isThenable(result) ? result.then(settle, fail) : settle(result)
}

/** An invocation that has begun. */
interface Open {
  readonly invocation: OpenInvocation
  /** The handler has ended, and the response been sent. */
  readonly end: () => void
  /** From here on the instance may be suspended before the invocation ends: nothing would be left behind. */
  readonly letGo: () => void
}

function begin(request: unknown, { marginMillis, clock, report }: Settings): Open {
  const context = requestContext()
  const { signal } = (request ?? {}) as { signal?: unknown }
  const endsAt = endOf(context)
  const invocation = createInvocation({
    id: context?.headers?.['x-vercel-id'] ?? `thaw-${++lastId}`,
    endsAt,
    marginMillis,
    clock,
    parentSignal: signal instanceof AbortSignal ? signal : undefined,
  })
  // Held by others, the process cannot have been suspended since the last look.
  beginInvocation(invocation, { newInvocation: holding === 0 })
  const letGo = hold(context)
  const background = backgroundOf(context)
  let alarm: Deadline | undefined
  let isOpen = true
  const close = () => {
    if (!isOpen) return
    isOpen = false
    alarm?.cancel()
    const leaks = endInvocation(invocation)
    letGo()
    if (leaks.length > 0) report(leaks)
  }
  // Vercel has given it up by then: what it still holds is taken back, for it may never return.
  const overdue = () => {
    if (endsAt !== undefined && isOpen) alarm = startDeadline(clock, Math.max(0, endsAt - clock.wall()), close, true)
  }
  if (invocation.signal.aborted) overdue()
  else invocation.signal.addEventListener('abort', overdue, { once: true })
  return { invocation, end: () => background.whenDone(close), letGo }
}

/** Else the instance could be suspended between the response and the end. */
function hold(context: RequestContext | undefined): () => void {
  let isHolding = true
  let resolve = () => {}
  holding++
  if (context?.waitUntil)
    holdInstance(
      context,
      new Promise<void>((done) => {
        resolve = done
      }),
    )
  return () => {
    if (!isHolding) return
    isHolding = false
    holding--
    resolve()
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function'
}

function noHandler(given: unknown): OptionError {
  return new OptionError({
    option: 'handler',
    allowed: 'a function, or an object with a fetch function',
    message: `withThaw() takes a handler, but was given ${given === null ? 'null' : `a value of type ${typeof given}`}. Write withThaw((request, response) => { … }), export const GET = withThaw((request) => …), or export default withThaw({ fetch }).`,
  })
}
