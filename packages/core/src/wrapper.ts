/**
 * What a platform's wrapper does when an invocation begins and ends. The same on every platform; what differs (where the deadline comes
 * from, when the end is) stays with the platform.
 */

import { type Clock, read } from './clock.ts'
import { startAbsoluteDeadline } from './deadline.ts'
import { DeadlineError } from './errors.ts'
import type { FreezeHints } from './freeze.ts'
import { type Invocation, type InvocationStorage, type Leak, runInvocation, type Scope, trackedPools } from './invocation.ts'
import { isThenable } from './thenable.ts'

/** What a platform knows of an invocation that begins. */
export interface InvocationParts {
  /** The platform's own id for it. */
  readonly id: string
  /** When the platform will end it, in milliseconds since the epoch. Undefined, or not finite: not known. */
  readonly endsAt?: number | undefined
  /** How long before that the waits inside must have ended, so that there is time to respond with an error. */
  readonly marginMillis: number
  readonly clock: Clock
  /** Ends the invocation earlier: its caller disconnected. Its reason becomes the signal's. */
  readonly parentSignal?: AbortSignal | undefined
  /** What its sockets' lifetime is tied to, if that is less than the process. */
  readonly scope?: Scope | undefined
}

/** An invocation, as the wrapper that made it sees it. */
export interface OpenInvocation extends Invocation {
  /**
   * It has ended: its timer stops, and it no longer bounds anything. Work still running that was never awaited is bounded by its pool's
   * options alone; otherwise a cache that refreshes itself would fail forever once the invocation that created it is over.
   */
  close(): void
}

/** Creates an invocation and, if its deadline is known, starts the one timer that aborts its signal. */
export function createInvocation({ id, endsAt, marginMillis, clock, parentSignal, scope }: InvocationParts): OpenInvocation {
  const controller = new AbortController()
  const beganAt = read(clock).wall
  const isKnown = endsAt !== undefined && Number.isFinite(endsAt)
  let deadlineAt = isKnown ? endsAt - marginMillis : Number.POSITIVE_INFINITY
  const expire = () => {
    const waitedMillis = Math.max(0, clock.wall() - beganAt)
    controller.abort(new DeadlineError({ waitedMillis, message: timeUp(waitedMillis, marginMillis) }))
  }
  const timer = isKnown ? startAbsoluteDeadline(clock, Math.max(0, deadlineAt - beganAt), expire, true) : undefined
  const follow = () => controller.abort(parentSignal?.reason)
  if (parentSignal?.aborted) follow()
  else parentSignal?.addEventListener('abort', follow, { once: true })
  return {
    id,
    get deadlineAt() {
      return deadlineAt
    },
    signal: controller.signal,
    scope,
    close() {
      deadlineAt = Number.POSITIVE_INFINITY
      timer?.cancel()
      parentSignal?.removeEventListener('abort', follow)
    },
  }
}

/** Tells every pool that the invocation has begun. Call it before the handler, and outside the invocation's own scope. */
export function beginInvocation(invocation: Invocation, hints: FreezeHints = {}): void {
  for (const member of trackedPools()) member.begin(invocation, hints)
}

/** Closes the invocation, and makes every pool take back the clients that were not released. */
export function endInvocation(invocation: OpenInvocation): Leak[] {
  invocation.close()
  return trackedPools().flatMap((member) => member.finish(invocation))
}

/** How to run a handler inside an invocation. */
export interface Serving<Result> {
  readonly invocation: OpenInvocation
  readonly hints?: FreezeHints
  /** Creates the storage, if this is the first platform of the process. */
  readonly createStorage: () => InvocationStorage
  /** Calls the user's handler. */
  readonly work: () => Result
  /** The invocation has ended, and these clients had not been released. */
  readonly ended: (leaks: readonly Leak[]) => void
}

/** Begins the invocation, runs the handler, and ends the invocation when the handler's promise settles, before its caller sees that. */
export function serveInvocation<Result>({ invocation, hints, createStorage, work, ended }: Serving<Result>): Result {
  const end = () => ended(endInvocation(invocation))
  beginInvocation(invocation, hints)
  let result: Result
  try {
    result = runInvocation(invocation, createStorage, work)
  } catch (error) {
    end()
    throw error
  }
  if (!isThenable(result)) {
    end()
    return result
  }
  // What `then` returns resolves to the same value: the same type, for any caller that only awaits it.
  return result.then(
    (value) => {
      end()
      return value
    },
    (error: unknown) => {
      end()
      throw error
    },
  ) as Result
}

/** What the language itself gives to each function. */
const MECHANICS: ReadonlySet<string | symbol> = new Set(['prototype', 'arguments', 'caller'])

/**
 * Makes a replacement for `original` look like it: its name, length, own symbols and own properties.
 *
 * @param length how many arguments it declares, where the platform counts them. Default: as many as `original`.
 */
export function preserveHandler<Wrapped extends object>(original: object, wrapped: Wrapped, length?: number): Wrapped {
  for (const key of Reflect.ownKeys(original)) {
    const property = Object.getOwnPropertyDescriptor(original, key)
    if (property && !MECHANICS.has(key)) Object.defineProperty(wrapped, key, property)
  }
  if (length !== undefined) Object.defineProperty(wrapped, 'length', { value: length, configurable: true })
  return wrapped
}

/**
 * Reports each leak to the user's own function; without one, as a warning, once per place, because a leak in a busy handler would otherwise
 * fill the log. Never throws: a handler that did its work must not fail because of it.
 */
export function createLeakReport(
  tell: (message: string) => void,
  onLeak: (leak: Leak) => unknown = once(tell),
): (leaks: readonly Leak[]) => void {
  return (leaks) => {
    for (const leak of leaks) {
      try {
        Promise.resolve(onLeak(leak)).catch(() => {})
      } catch {}
    }
  }
}

function once(tell: (message: string) => void): (leak: Leak) => void {
  const places = new Set<string>()
  return ({ acquiredAt }) => {
    if (places.has(acquiredAt)) return
    places.add(acquiredAt)
    tell(
      `Thaw: a client was not released when the invocation ended. Its connection was closed, so that the pool does not lose a place. Call client.release() in a finally block. It was acquired\n${acquiredAt}`,
    )
  }
}

function timeUp(waitedMillis: number, marginMillis: number): string {
  return `The invocation has run for ${Math.round(waitedMillis)} ms, and the platform ends it in ${Math.round(marginMillis)} ms. Whatever is still waiting was given up, so that there is time to respond. Allow it more time on the platform, or do less in it.`
}
