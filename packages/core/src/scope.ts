/**
 * What a socket's lifetime is tied to, if that is less than the process. On Cloudflare Workers that is one request, or one Durable Object:
 * used from any other, a socket does nothing, or hangs. So drivers keep their connections by scope there.
 */

import { ScopeError } from './errors.ts'
import { currentInvocation, type Scope } from './invocation.ts'

/** Belongs to a request, as a socket does. */
interface Probe {
  readonly readyState: number
}
type PairClass = new () => { readonly 0: Probe }

interface Runtime {
  /** Only workerd has this. */
  readonly WebSocketPair?: PairClass
  readonly Error: { stackTraceLimit?: number }
}

/**
 * How many scopes are remembered without a wrapper. Their end is not reported either, so each first statement of a request asks all of
 * them, at 25 µs each: 0.8 ms at most. A scope that is forgotten too early opens another set of connections.
 */
const MOST_SCOPES = 32

const SCOPES = Symbol.for('thaw.scopes')
const runtime = globalThis as unknown as Runtime & { [SCOPES]?: Scope[] }

/**
 * The scope that the caller runs in. Undefined where sockets live as long as the process: everywhere but on Workers.
 *
 * A scope that a wrapper names is verified, because a callback can be bound to the context of another request. Without a wrapper, all known
 * scopes are asked, the last one used first.
 *
 * @throws {ScopeError} outside any request: while the Worker's modules are being loaded.
 */
export function currentScope(): Scope | undefined {
  if (!runtime.WebSocketPair) return undefined
  const told = currentInvocation()?.scope
  if (told?.isCurrent()) return told
  runtime[SCOPES] ??= []
  const scopes = runtime[SCOPES]
  const index = indexOfCurrent(scopes)
  const scope = scopes.splice(index, index === -1 ? 0 : 1)[0] ?? scopeOf(createProbe(runtime.WebSocketPair))
  scopes.unshift(scope)
  scopes.length = Math.min(scopes.length, MOST_SCOPES)
  return scope
}

/**
 * Makes a scope of the request that the caller runs in, for a wrapper that passes it to its invocation. Undefined as with {@link
 * currentScope}.
 *
 * @throws {ScopeError} as {@link currentScope}.
 */
export function openScope(): Scope | undefined {
  return runtime.WebSocketPair && scopeOf(createProbe(runtime.WebSocketPair))
}

function scopeOf(probe: Probe): Scope {
  return {
    isCurrent() {
      try {
        return probe.readyState >= 0
      } catch {
        return false
      }
    },
  }
}

function createProbe(WebSocketPair: PairClass): Probe {
  try {
    return new WebSocketPair()[0]
  } catch (cause) {
    throw new ScopeError({ cause, message: GLOBAL })
  }
}

function indexOfCurrent(scopes: readonly Scope[]): number {
  const { stackTraceLimit } = runtime.Error
  // These stacks are never shown, and they are half of what an exception costs.
  runtime.Error.stackTraceLimit = 0
  try {
    return scopes.findIndex((scope) => scope.isCurrent())
  } finally {
    if (stackTraceLimit !== undefined) runtime.Error.stackTraceLimit = stackTraceLimit
  }
}

const GLOBAL =
  'A Worker can open connections only in its handlers, and this is its global scope, where its modules are loaded. Create the pool here, but move the first connect() or query() into a handler, or into a function that a handler calls.'
