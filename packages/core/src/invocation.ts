/**
 * Where drivers and platforms meet. Neither imports the other: a platform says which invocation is running, and a pool says how it can be
 * told of one. Stored under a process-wide symbol, so that two copies of this package agree.
 */

import type { FreezeHints } from './freeze.ts'

/**
 * What a socket's lifetime is tied to, if that is less than the process: one request of a Worker, or one Durable Object with all of its
 * requests.
 */
export interface Scope {
  /** Is the caller running inside it? Takes about 0.05 µs if so, and 25 µs if not, because the runtime answers with an exception. */
  isCurrent(): boolean
}

/** One call of the user's handler. A runtime may serve several at once. */
export interface Invocation {
  /** The platform's own id for it, for logs and errors. */
  readonly id: string
  /**
   * When everything inside must have ended, in milliseconds since the epoch: when the platform ends the invocation, minus the time needed
   * to respond with an error. Infinity: not known.
   */
  readonly deadlineAt: number
  /** Aborts at the deadline, with a `DeadlineError` as its reason. */
  readonly signal: AbortSignal
  /** What its sockets' lifetime is tied to, if that is less than the process. */
  readonly scope?: Scope | undefined
}

/** A client that an invocation acquired with `connect()` and had not released when it ended. */
export interface Leak {
  /** The stack of the `connect()`, without its first line. */
  readonly acquiredAt: string
}

/** A pool that was created inside an invocation: most likely one pool per request. */
export interface PoolOrigin {
  readonly invocation: Invocation
  /** The stack of the `new Pool()`, without its first lines. */
  readonly madeAt: string
}

/** A pool, as platforms know it. None of these functions throws. */
export interface TrackedPool {
  /** The pool itself, for platforms that watch its events. */
  readonly pool: object
  /** The invocation in which the pool was created. Undefined if a module created it. */
  readonly origin?: PoolOrigin | undefined
  /** An invocation has begun: reads the clocks, and probes the newest idle connection before the first statement needs it. */
  begin(invocation: Invocation, hints: FreezeHints): void
  /** Does the invocation hold a client that it has not released? Then its response, such as a stream of rows, may still need it. */
  holds(invocation: Invocation): boolean
  /** An invocation has ended: destroys the clients that it never released, and reports them. */
  finish(invocation: Invocation): readonly Leak[]
  /** Closes the connections that are idle. Resolves when their sockets are closed. The pool itself stays open. */
  closeIdle(): Promise<void>
}

/** The slice of `AsyncLocalStorage` that Thaw uses. */
export interface InvocationStorage {
  getStore(): Invocation | undefined
  run<Result>(invocation: Invocation | undefined, work: () => Result): Result
  /** For when our code returns before the handler is called. */
  enterWith(invocation: Invocation): void
}

type Reference = Pick<WeakRef<TrackedPool>, 'deref'>

interface Registry {
  storage?: InvocationStorage
  readonly members: Set<Reference>
  readonly watchers: Set<(member: TrackedPool) => void>
  /** Of the invocation that the process began with. */
  firstId?: string
  /** How many requests are being served. */
  requests?: number
}

const REGISTRY = Symbol.for('thaw')

let known: Registry | undefined

function registry(): Registry {
  if (known) return known
  const holder = globalThis as { [REGISTRY]?: Registry }
  holder[REGISTRY] ??= { members: new Set(), watchers: new Set() }
  known = holder[REGISTRY]
  return known
}

/** The caller's invocation, if a platform's wrapper has opened one. About 30 ns. */
export function currentInvocation(): Invocation | undefined {
  return registry().storage?.getStore()
}

/**
 * Runs `work` as part of the given invocation, or of none (`undefined`): then neither its deadline nor a client that hangs up ends what `work` waits for. A callback
 * otherwise runs in the context of whatever calls it: a socket, or another caller's release.
 */
export function resumeInvocation<Result>(invocation: Invocation | undefined, work: () => Result): Result {
  const { storage } = registry()
  return storage && storage.getStore() !== invocation ? storage.run(invocation, work) : work()
}

/** Wraps the callback so that it runs as part of the caller's current invocation, or of none, whatever calls it. */
export function bindInvocation<Values extends unknown[]>(callback: (...values: Values) => void): (...values: Values) => void {
  if (!hasInvocations()) return callback
  const invocation = currentInvocation()
  return (...values) => resumeInvocation(invocation, () => callback(...values))
}

/** Has a platform opened any invocation so far? If not, there is no context to get wrong. */
export function hasInvocations(): boolean {
  return registry().storage !== undefined
}

/** Runs `work`, and everything it starts, as part of the invocation. The first platform in the process provides the storage for all. */
export function runInvocation<Result>(invocation: Invocation, create: () => InvocationStorage, work: () => Result): Result {
  const shared = registry()
  shared.storage ??= create()
  shared.firstId ??= invocation.id
  return shared.storage.run(invocation, work)
}

/** Like {@link runInvocation}, for what the caller itself does next: for middlewares, which return before the handler is called. */
export function enterInvocation(invocation: Invocation, create: () => InvocationStorage): void {
  const shared = registry()
  shared.storage ??= create()
  shared.firstId ??= invocation.id
  shared.storage.enterWith(invocation)
}

/** Is it the first invocation that this process serves: did its caller wait for the process to start? */
export function isColdStart({ id }: Pick<Invocation, 'id'>): boolean {
  return registry().firstId === id
}

/** Counts one more request being served, or one less. Returns how many there are. */
export function countRequest(change: 1 | -1): number {
  const shared = registry()
  shared.requests = (shared.requests ?? 0) + change
  return shared.requests
}

/** The pool as platforms know it, if it is one of ours and has been used. */
export function trackedPoolOf(pool: object): TrackedPool | undefined {
  return trackedPools().find((member) => member.pool === pool)
}

/** Makes a pool known to platforms for as long as it lives. Returns the function that ends it earlier. */
export function trackPool(member: TrackedPool): () => void {
  const { members, watchers } = registry()
  const reference = referTo(member)
  members.add(reference)
  for (const watcher of watchers) watcher(member)
  return () => void members.delete(reference)
}

/** Workers have WeakRef since the compatibility date 2025-05-05. There a pool belongs to a module, and lives as long as the isolate. */
function referTo(member: TrackedPool): Reference {
  return typeof WeakRef === 'undefined' ? { deref: () => member } : new WeakRef(member)
}

/** Every pool of the process that has been used. */
export function trackedPools(): TrackedPool[] {
  const { members } = registry()
  const found: TrackedPool[] = []
  for (const reference of members) {
    const member = reference.deref()
    if (member) found.push(member)
    else members.delete(reference)
  }
  return found
}

/** Calls the watcher for every pool of the process: now for those already used, and later for each other pool just before its first use. */
export function watchPools(watcher: (member: TrackedPool) => void): void {
  registry().watchers.add(watcher)
  for (const member of trackedPools()) watcher(member)
}
