/** The wrapper: tells pools which invocation is running, until when, and that it has ended. */

import {
  beginInvocation,
  type Clock,
  checkOptions,
  createInvocation,
  createLeakReport,
  endInvocation,
  type InvocationStorage,
  type Leak,
  type OpenInvocation,
  OptionError,
  type OptionRules,
  poolMembers,
  preserveHandler,
  runInvocation,
  startDeadline,
  sweep,
  systemClock,
  ThawError,
} from '@thaw/core'
import { attachNew } from './attach-pool.ts'
import { endOf, requestContext } from './context.ts'
import { afterBody, afterNodeResponse, hasBody, isNodeResponse } from './ends.ts'
import { storageMaker } from './storage.ts'

/** How to wrap. */
export interface WithThawOptions {
  /**
   * How long before Vercel ends the invocation everything that waits inside must have ended, so that there is time to answer with an error.
   * Default 500 ms.
   */
  readonly marginMillis?: number | undefined
  /**
   * Told of clients that were taken by `connect()` and not given back when the invocation ended. Their connections have been closed. Default: a
   * warning on the console, once for each place.
   */
  readonly onLeak?: ((leaks: readonly Leak[]) => void) | undefined
  /** Time. Default: the runtime's own. */
  readonly clock?: Clock | undefined
}

/** Any handler: `(request, response)`, `(request)`, `(request, context)`. */
type HandlerFunction = (...args: never[]) => unknown
/** What has a `fetch` of its own: `export default { fetch }`, a Hono app. */
interface FetchHandler {
  readonly fetch: HandlerFunction
}
/** What Vercel calls. */
export type VercelHandler = HandlerFunction | FetchHandler

const MARGIN_MILLIS = 500

let running = 0
let lastId = 0

/**
 * Wraps a handler of a Vercel function, on Node.js or Edge: `(request, response)`, an Express app, a `GET` or `POST` export, an object with
 * `fetch`. What comes out has the type, the name, the length and the properties of what went in.
 *
 * Inside, every wait of a Thaw pool ends before Vercel ends the invocation, and says so; the newest connection is proven when the invocation
 * begins; clients that were never given back are taken back when it ends; and every Thaw pool is drained as by {@link attachPool}. The invocation
 * ends when the handler has, and its response has been sent. Without `withThaw` pools work too.
 *
 * @throws {OptionError} when it is given no handler, before anything is called.
 */
export function withThaw<Handler extends VercelHandler>(handler: Handler, options: WithThawOptions = {}): Handler {
  const settings = settingsOf(options)
  if (typeof handler === 'function') return preserveHandler(handler, wrap(handler, settings)) as Handler
  const fetch = (handler as Partial<FetchHandler> | null)?.fetch
  if (typeof fetch !== 'function') throw noHandler(handler)
  const wrapped = preserveHandler(handler, Object.create(Object.getPrototypeOf(handler)) as FetchHandler)
  // Called on what was given: private members are there only.
  const call = wrap((...args: never[]) => Reflect.apply(fetch, handler, args), settings)
  Object.defineProperty(wrapped, 'fetch', { value: preserveHandler(fetch, call), enumerable: true, configurable: true, writable: true })
  return wrapped as Handler
}

interface Settings {
  readonly marginMillis: number
  readonly report: (leaks: readonly Leak[]) => void
  readonly clock: Clock
  readonly createStorage: () => InvocationStorage
}

const RULES: OptionRules = { marginMillis: { type: 'number', min: 0 }, onLeak: { type: 'function' }, clock: { type: 'object' } }

function settingsOf(options: WithThawOptions): Settings {
  checkOptions(options, RULES, 'refuse')
  const { marginMillis = MARGIN_MILLIS, onLeak, clock = systemClock } = options
  const { console } = globalThis as { console?: { warn(message: string): void } }
  return { marginMillis, report: onLeak ?? createLeakReport((message) => console?.warn(message)), clock, createStorage: storageMaker() }
}

function wrap(handler: HandlerFunction, settings: Settings): HandlerFunction {
  return function (this: unknown, ...args: never[]) {
    const { invocation, end } = begin(args, settings)
    let result: unknown
    try {
      result = runInvocation(invocation, settings.createStorage, () => Reflect.apply(handler, this, args))
    } catch (error) {
      end()
      throw error
    }
    const response: unknown = args[1]
    if (!isNodeResponse(response)) return endWithBody(result, invocation, end, settings.clock)
    // The platform waits for the response alone; a `finally` that comes later than it is part of the invocation all the same.
    let missing = 2
    const one = () => {
      missing--
      if (missing === 0) end()
    }
    afterNodeResponse(response, one)
    Promise.resolve(result).then(one, one)
    return result
  }
}

/** Has the invocation ended when the handler has, or, if somebody still uses a client, when the body has been read. */
function endWithBody(result: unknown, invocation: OpenInvocation, end: () => void, clock: Clock): unknown {
  const settle = (value: unknown) => {
    const isInUse = poolMembers().some((member) => member.holds(invocation))
    // Who closes the body gets the chance to give his client back afterwards.
    if (isInUse && hasBody(value)) afterBody(value, () => sweep(clock, end))
    else end()
    return value
  }
  const fail = (error: unknown) => {
    end()
    throw error
  }
  return isThenable(result) ? result.then(settle, fail) : settle(result)
}

/** Begins an invocation, and makes what ends it. */
function begin(args: readonly unknown[], { marginMillis, clock, report }: Settings): { invocation: OpenInvocation; end: () => void } {
  const context = requestContext()
  const request = args[0] as { signal?: AbortSignal; headers?: unknown } | undefined
  const invocation = createInvocation({
    id: context?.headers?.['x-vercel-id'] ?? `thaw-${++lastId}`,
    endsAt: endOf(context),
    marginMillis,
    clock,
    parentSignal: request?.signal instanceof AbortSignal ? request.signal : undefined,
  })
  // With others running, the process cannot have been suspended since the last look.
  beginInvocation(invocation, { newInvocation: running === 0 })
  running++
  let release = () => {}
  const ended = new Promise<void>((resolve) => {
    release = resolve
  })
  // Else the instance could be suspended between the response and the end, and nothing could hold it any more.
  context?.waitUntil?.(ended)
  const end = once(() => {
    running--
    const leaks = endInvocation(invocation)
    for (const member of poolMembers()) attachNew(member.pool, clock)?.hold(context)
    release()
    if (leaks.length > 0) report(leaks)
  })
  // Vercel has given it up: what it still holds is taken back, for it may never return.
  const overdue = () => ThawError.is(invocation.signal.reason) && startDeadline(clock, marginMillis, end, true)
  invocation.signal.addEventListener('abort', overdue, { once: true })
  return { invocation, end }
}

function once(work: () => void): () => void {
  let isDone = false
  return () => {
    if (isDone) return
    isDone = true
    work()
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
