/** The wrapper: tells pools which invocation is running, until when, and that it has ended. */

import {
  endWithAnswer,
  type InvocationStorage,
  isThenable,
  OptionError,
  openRequest,
  openScope,
  preserveHandler,
  type RequestInvocation,
  runInvocation,
  type Scope,
} from '@thaw/core'
import type { NextRequest } from 'next/server.js'
import { endOf, hostContext } from './host.ts'
import { type Settings, settingsOf, type ThawOptions } from './options.ts'
import { findStrays } from './stray-pools.ts'

/** A route handler. Annotate its context: `RouteContext<'/orders/[id]'>`, which Next.js generates. */
export type RouteHandler = (request: NextRequest, context: { params: Promise<never> }) => Response | Promise<Response>
/** A route handler or a server action. */
export type NextHandler = (...args: never[]) => unknown

/** How React marks what a client may call by reference. */
const REFERENCE = Symbol.for('react.server.reference')

let lastId = 0

/**
 * Wraps a route handler (`export const GET = withThaw(async (request) => …)`) or a server action of a `'use server'` file. Returns one of
 * the same type, name, length and properties.
 *
 * Inside, every wait of a Thaw pool ends before the host ends the invocation, and says so; the newest idle connection is probed when the
 * invocation begins; clients that were not released are taken back when it ends. It ends when the handler has returned, its response has
 * been read, and the tasks that it passed to {@link after} have ended. Pages need no wrapper, and pools work without `withThaw` too.
 *
 * @throws {OptionError} if it is not given a handler; or, when the result is called, if it is called as a page.
 */
export function withThaw<Handler extends RouteHandler>(handler: Handler, options?: ThawOptions): Handler
export function withThaw<Handler extends NextHandler>(handler: Handler, options?: ThawOptions): Handler
export function withThaw(handler: NextHandler, options: ThawOptions = {}): NextHandler {
  const settings = settingsOf(options)
  if (typeof handler !== 'function') throw noHandler(handler)
  if ((handler as { $$typeof?: unknown }).$$typeof === REFERENCE) throw alreadyAnAction()
  return preserveHandler(handler, wrap(handler, settings))
}

function wrap(handler: NextHandler, settings: Settings): NextHandler {
  return function (this: unknown, ...args: never[]) {
    const [first] = args
    if (isPage(first)) throw aroundPage(handler)
    const invocation = begin(first, settings)
    const handled = invocation.part()
    let result: unknown
    try {
      result = runInvocation(invocation, createStorage, () => Reflect.apply(handler, this, args))
    } catch (error) {
      handled()
      throw error
    }
    return endWithAnswer({ result, request: { method: peek(first, 'method') }, invocation, clock: settings.clock, done: handled })
  }
}

function begin(first: unknown, { marginMillis, clock, report, reportStray }: Settings): RequestInvocation {
  const context = hostContext()
  const signal = peek(first, 'signal')
  const invocation = openRequest({
    id: context?.headers?.['x-vercel-id'] ?? `thaw-${++lastId}`,
    endsAt: endOf(context),
    marginMillis,
    clock,
    parentSignal: signal instanceof AbortSignal ? signal : undefined,
    scope: scopeHere(),
    waitUntil: context?.waitUntil && ((promise) => context.waitUntil?.(promise)),
    ended(leaks) {
      findStrays(invocation, reportStray)
      report(leaks)
    },
  })
  return invocation
}

/** In a Worker, which OpenNext makes of an app, each request has its own connections. */
function scopeHere(): Scope | undefined {
  try {
    return openScope()
  } catch {
    // The Worker's global scope. Using a pool there throws an error that says so.
    return undefined
  }
}

/** Next.js defines the class globally on every runtime, for itself. */
function createStorage(): InvocationStorage {
  const { AsyncLocalStorage } = globalThis as { AsyncLocalStorage?: new () => InvocationStorage }
  if (AsyncLocalStorage) return new AsyncLocalStorage()
  throw new Error(
    'withThaw() of "@thaw/next" works only inside Next.js: there is no AsyncLocalStorage here. Elsewhere, use withThaw() of "@thaw/vercel" or "@thaw/lambda".',
  )
}

/** What pages and layouts receive: props, with params that are a promise, and searchParams or children. */
function isPage(first: unknown): boolean {
  const params = peek(first, 'params')
  return isThenable(params) && (peek(first, 'searchParams') !== undefined || peek(first, 'children') !== undefined)
}

/** The request of a static route, and React's references to client-only values, throw when they are inspected. */
function peek(given: unknown, name: string): unknown {
  try {
    return (given as Readonly<Record<string, unknown>> | null | undefined)?.[name]
  } catch {
    return undefined
  }
}

function aroundPage({ name }: NextHandler): OptionError {
  return new OptionError({
    option: 'handler',
    allowed: 'a route handler or a server action',
    message: `withThaw() wraps a page or a layout${name && ` (${name})`}. React keeps rendering after the function has returned, so the end of its invocation is not known. Remove withThaw(): pools work in pages without it.`,
  })
}

function alreadyAnAction(): OptionError {
  return new OptionError({
    option: 'handler',
    allowed: 'a route handler or a server action',
    message:
      "withThaw() received a function that is already a server action, so clients would bypass withThaw(). Put the action into a file that begins with 'use server', and write: export const save = withThaw(async (form: FormData) => { … }).",
  })
}

function noHandler(given: unknown): OptionError {
  return new OptionError({
    option: 'handler',
    allowed: 'a function',
    message: `withThaw() takes a route handler or a server action, but received ${given === null ? 'null' : `a value of type ${typeof given}`}. Write export const GET = withThaw(async (request) => { … }).`,
  })
}
