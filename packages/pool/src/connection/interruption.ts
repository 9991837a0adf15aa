/** A statement that we end ourselves, because its time is up or its caller has aborted it. */

import { type Clock, currentInvocation, type Deadline, DeadlineError, named, OptionError, startDeadline } from '@thaw/core'
import { wireError } from '../driver/errno.ts'
import { ownQueryTimeoutOf } from '../options/times.ts'

const interruptions = new WeakSet<Error>()

/** Marks the error with which we give up a connection ourselves. */
export function asInterruption(error: Error): Error {
  interruptions.add(error)
  return error
}

/** Did we give up the connection ourselves, for this reason? Then it says nothing about the server or its other connections. */
export function isInterruption(error: Error): boolean {
  return interruptions.has(error)
}

/** Why the connection of the other statements on it was closed. Its end is no reason of theirs: what was not executed may be sent again. */
export function endedByAnother(): Error {
  return wireError('ECONNRESET', 'Connection closed: another statement on it was ended by its bound or its signal')
}

/** What bounds one statement, or one wait. */
export interface Bounds {
  /** Milliseconds. 0: no bound. Negative: what was left of the caller's time, which is over. */
  readonly timeoutMillis: number
  readonly signal: AbortSignal | undefined
  /** Calls back when the time begins to run. Undefined: at once. */
  readonly begins?: ((begin: () => void) => void) | undefined
  /** How long the wait for that may take, in milliseconds. Undefined: what is waited for has its own bound, and no longer one. */
  readonly waitMillis?: number | undefined
}

/** What Thaw adds to the configuration of a query, and what it takes over of pg's. */
export interface QueryBounds {
  readonly query_timeout?: unknown
  readonly signal?: unknown
}

/**
 * Calls `interrupt` once, when the first bound is reached. Returns the function that lifts the bounds.
 *
 * The invocation's own deadline is always one of them.
 */
export function bound(clock: Clock, { timeoutMillis, signal, begins, waitMillis }: Bounds, interrupt: (reason: Error) => void): () => void {
  const signals = [signal, currentInvocation()?.signal].filter((each) => each !== undefined)
  let began = clock.mono()
  let isLifted = false
  const stop = (reason: unknown) => {
    lift()
    interrupt(asInterruption(asError(reason)))
  }
  const late = (lateMillis: number) => stop(timeUp(timeoutMillis, clock.mono() - began, lateMillis))
  let deadline: Deadline | undefined
  const lift = () => {
    isLifted = true
    deadline?.cancel()
    for (const each of signals) unlisten(each, stop)
  }
  for (const each of signals) listen(each, stop)
  const begin = () => {
    if (isLifted) return
    deadline?.cancel()
    began = clock.mono()
    deadline = startDeadline(clock, timeoutMillis, late)
  }
  if (timeoutMillis <= 0) return lift
  if (waitMillis !== undefined) deadline = startDeadline(clock, waitMillis, late)
  if (begins) begins(begin)
  else begin()
  return lift
}

interface Listeners {
  readonly stops: Set<(reason: unknown) => void>
  heard(event: { readonly target?: unknown }): void
}

/** A signal has one listener of ours, however many statements it bounds: Node warns of a leak from the eleventh on. */
const listeners = new WeakMap<AbortSignal, Listeners>()

function listen(signal: AbortSignal, stop: (reason: unknown) => void): void {
  const known = listeners.get(signal)
  if (known) return void known.stops.add(stop)
  const stops = new Set([stop])
  const heard: Listeners['heard'] = ({ target }) => {
    for (const each of [...stops]) each((target as AbortSignal).reason)
  }
  listeners.set(signal, { stops, heard })
  signal.addEventListener('abort', heard)
}

function unlisten(signal: AbortSignal, stop: (reason: unknown) => void): void {
  const known = listeners.get(signal)
  if (!known?.stops.delete(stop) || known.stops.size > 0) return
  listeners.delete(signal)
  signal.removeEventListener('abort', known.heard)
}

/** The bounds that a query's configuration sets. Undefined: none, and none from the invocation either. */
export function boundsOf(config: QueryBounds | undefined, defaultTimeoutMillis: number, begins?: Bounds['begins']): Bounds | undefined {
  const timeoutMillis = ownQueryTimeoutOf(config?.query_timeout) || defaultTimeoutMillis
  const signal = checkSignal(config?.signal)
  return timeoutMillis !== 0 || signal || currentInvocation() ? { timeoutMillis, signal, begins } : undefined
}

/**
 * The same, for the driver, which would otherwise run its own timer. Copied as node-postgres copies it: the text may come from a prototype,
 * or from a getter.
 */
export function withoutTimeout(config: object): object {
  const own = Object.getOwnPropertyDescriptors(config)
  const query_timeout = { value: undefined, configurable: true, enumerable: true, writable: true }
  return Object.create(Object.getPrototypeOf(config), { ...own, query_timeout })
}

/** @throws {OptionError} when it is not an AbortSignal. */
export function checkSignal(signal: unknown): AbortSignal | undefined {
  if (signal === undefined || signal === null) return undefined
  if (typeof (signal as AbortSignal).addEventListener === 'function' && 'aborted' in (signal as object)) return signal as AbortSignal
  throw new OptionError({
    option: 'signal',
    allowed: 'an AbortSignal',
    message: `Option "signal" is ${named(signal)}, but must be an AbortSignal: new AbortController().signal, or AbortSignal.timeout(5000).`,
  })
}

/** What to reject with if a bound has been reached before the statement begins. */
export function interruptedBefore(bounds: Bounds | undefined): Error | undefined {
  const over = [bounds?.signal, currentInvocation()?.signal].find((signal) => signal?.aborted)
  if (over) return asInterruption(asError(over.reason))
  return bounds && bounds.timeoutMillis < 0 ? asInterruption(timeUp(bounds.timeoutMillis, 0, 0)) : undefined
}

/** The error for a wait that took longer than `query_timeout`. */
export function timeUp(timeoutMillis: number, waitedMillis: number, lateMillis: number): DeadlineError {
  const late = lateMillis > 250 ? ` (noticed ${Math.round(lateMillis)} ms late: the process was frozen or busy)` : ''
  return new DeadlineError({
    waitedMillis,
    message: `Query read timeout: no answer within ${timeoutMillis} ms (query_timeout)${late}.`,
  })
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('The operation was aborted', { cause: reason })
}
