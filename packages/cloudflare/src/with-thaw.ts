/** The wrapper: handlers, entrypoints and Durable Objects run in invocations, so that pools find their connections at once. */

import { currentScope, OptionError, preserveHandler, type Scope } from '@thaw/core'
import { type Call, type Context, serve } from './invocations.ts'
import { type Settings, settingsOf, type ThawOptions } from './options.ts'

/** A handler that is a function: of the request, of a queue's batch, of a Pages Function's context. */
export type AnyFunction = (...args: never[]) => unknown
/** A class that extends `WorkerEntrypoint`, `DurableObject` or `WorkflowEntrypoint`. */
export type AnyClass = abstract new (...args: never[]) => object
/** What a Worker module exports by default. `ExportedHandler<Env>` fits, and so does a Hono app. */
export type WorkerHandlers = { readonly [Name in (typeof HANDLERS)[number]]?: unknown }

const HANDLERS = ['fetch', 'scheduled', 'queue', 'email', 'tail', 'trace', 'test'] as const

/**
 * Wraps what a Worker exports, and returns the same type: an object of handlers (`fetch`, `scheduled`, `queue`, `email`, `tail`), one
 * handler, or a class that extends `WorkerEntrypoint`, `DurableObject` or `WorkflowEntrypoint`.
 *
 * - A Thaw pool finds the connections of the request, or of the Durable Object, at once. Without the wrapper it has to ask the runtime,
 *   which takes longer.
 * - `invocation()` returns the current one, with a signal that aborts when the client disconnects.
 * - A client that was not released is reported when the invocation has ended: the handler, the body of its response, and work passed to
 *   `ctx.waitUntil`.
 *
 * @throws {OptionError} for something that is not a handler, an impossible or misspelt option, or a Worker without `nodejs_compat`.
 */
export function withThaw<Target extends WorkerHandlers | AnyFunction | AnyClass>(target: Target, options: ThawOptions = {}): Target {
  const settings = settingsOf(options)
  if (typeof target === 'function') {
    return (isClass(target) ? wrapClass(target, settings) : preserveHandler(target, wrap(target as AnyFunction, settings))) as Target
  }
  const names = typeof target === 'object' && target !== null ? HANDLERS.filter((name) => typeof target[name] === 'function') : []
  if (names.length === 0) throw noHandler(target)
  return wrapObject(target, names, settings) as Target
}

function wrapObject(target: WorkerHandlers, names: readonly (keyof WorkerHandlers)[], settings: Settings): object {
  const wrapped = preserveHandler(target, Object.create(Object.getPrototypeOf(target)) as object)
  for (const name of names) {
    const handler = target[name] as AnyFunction
    // Called on the original object: private members exist only there.
    const call = wrap((...args: never[]) => Reflect.apply(handler, target, args), settings)
    Object.defineProperty(wrapped, name, { value: preserveHandler(handler, call), enumerable: true, configurable: true, writable: true })
  }
  return wrapped
}

function wrap(handler: AnyFunction, settings: Settings): AnyFunction {
  return function (this: unknown, ...args: never[]) {
    return serve(settings, callOf(args), () => Reflect.apply(handler, this, args))
  }
}

/** `(request, env, ctx)`, `(batch, env, ctx)`, or the one context of a Pages Function. */
function callOf(args: readonly unknown[]): Call {
  const context = args.find((arg): arg is Context => typeof (arg as Partial<Context> | null | undefined)?.waitUntil === 'function')
  const [first] = args as [{ signal?: unknown; request?: { signal?: unknown } } | undefined]
  return { context, signal: signalOf(first) ?? signalOf(first?.request) }
}

function signalOf(request: unknown): AbortSignal | undefined {
  const { signal } = (request ?? {}) as { signal?: unknown }
  return signal instanceof AbortSignal ? signal : undefined
}

// -------------------------------------------------------------------- classes

type Instance = object & { readonly ctx?: Partial<Context> & { readonly storage?: unknown } }
type InstanceClass = new (...args: unknown[]) => Instance

/** The scope of each Durable Object, while it is in memory: its sockets outlive its requests. */
const scopes = new WeakMap<object, Scope | undefined>()

function isClass(target: AnyFunction | AnyClass): target is AnyClass {
  return /^class\b/.test(Function.prototype.toString.call(target))
}

/** A class whose methods, including inherited ones, run in invocations. The runtime calls only methods that are on a prototype. */
function wrapClass(target: AnyClass, settings: Settings): AnyClass {
  const Base = target as unknown as InstanceClass
  const Wrapped = class extends Base {}
  for (const [name, method] of methodsOf(Base.prototype)) {
    const value = function (this: Instance, ...args: never[]) {
      return serve(settings, callOn(this, args), () => Reflect.apply(method, this, args))
    }
    Object.defineProperty(Wrapped.prototype, name, { value: preserveHandler(method, value), configurable: true, writable: true })
  }
  Object.defineProperty(Wrapped, 'name', { value: Base.name, configurable: true })
  return Wrapped as unknown as AnyClass
}

function callOn(instance: Instance, args: readonly unknown[]): Call {
  const { ctx } = instance
  const signal = signalOf(args[0])
  const context = ctx as Context | undefined
  // A DurableObjectState has storage.
  if (!ctx?.storage) return { context, signal }
  if (!scopes.has(instance)) scopes.set(instance, currentScope())
  return { context, signal, scope: scopes.get(instance) }
}

/** The methods of the user's classes: not those of the runtime's own base classes. */
function methodsOf(prototype: object): Map<string, AnyFunction> {
  const methods = new Map<string, AnyFunction>()
  for (let one = prototype; one && isClass(one.constructor as AnyClass); one = Object.getPrototypeOf(one)) {
    for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(one))) {
      if (name !== 'constructor' && typeof value === 'function' && !methods.has(name)) methods.set(name, value)
    }
  }
  return methods
}

function noHandler(given: unknown): OptionError {
  return new OptionError({
    option: 'handler',
    allowed: 'an object with fetch, scheduled, queue, email or tail; a function; a class',
    message: `withThaw() takes what a Worker exports, but received ${given === null ? 'null' : `a value of type ${typeof given}`} without a handler. Write export default withThaw({ async fetch(request, env, ctx) { … } }), or export const Counter = withThaw(class Counter extends DurableObject { … }).`,
  })
}
