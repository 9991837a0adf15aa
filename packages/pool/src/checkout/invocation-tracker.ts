/** The pool as platforms know it: what it does when an invocation begins and ends, and which invocation holds which client meanwhile. */

import { currentInvocation, type FreezeHints, type Invocation, type Leak, type PoolOrigin, type TrackedPool } from '@thaw/core'
import type { ConnectCallback, PeerClient, PeerPool, PendingItem } from '../driver/peer.ts'
import type { HealthChecks } from './health-checks.ts'

export interface InvocationTrackerHost {
  readonly checks: Pick<HealthChecks, 'look' | 'prepare' | 'vitalsOf' | 'membership'>
  /** Makes the pool known to platforms. Returns the function that ends that. */
  join(member: TrackedPool): () => void
}

/** A client that an invocation acquired with `connect()`. */
interface Acquisition {
  readonly invocation: Invocation
  /** Has the stack as an Error has it: V8 formats it when it is read, and most are never read. */
  readonly place: Place
}

interface Place {
  stack?: string
}

export class InvocationTracker implements TrackedPool {
  readonly pool: PeerPool<PendingItem>
  readonly origin: PoolOrigin | undefined
  readonly #host: InvocationTrackerHost
  readonly #acquisitions = new Map<PeerClient, Acquisition>()
  #leave: (() => void) | undefined
  #isNextOurs = false

  constructor(pool: PeerPool<PendingItem>, host: InvocationTrackerHost) {
    this.pool = pool
    this.origin = originOf(pool.constructor)
    this.#host = host
  }

  begin(_invocation: Invocation, hints: FreezeHints): void {
    this.#host.checks.prepare(hints)
  }

  holds(invocation: Invocation): boolean {
    return [...this.#acquisitions.values()].some((acquisition) => acquisition.invocation === invocation)
  }

  finish(invocation: Invocation): readonly Leak[] {
    // The gap to the next invocation is counted from here, or a long handler would look like a freeze.
    this.#host.checks.look()
    const leaks: Leak[] = []
    for (const [client, acquisition] of this.#acquisitions) {
      if (acquisition.invocation !== invocation) continue
      this.returned(client)
      this.pool._remove(client)
      // A caller that keeps it anyway is told why it no longer works.
      this.#host.checks.vitalsOf(client).takenBack = true
      client._queryable = false
      leaks.push({ acquiredAt: withoutOurLines(acquisition.place.stack ?? '') })
    }
    this.#host.checks.membership?.turnOver()
    return leaks
  }

  async closeIdle(): Promise<void> {
    const clients = this.pool._idle.map(({ client }) => client)
    await Promise.all(clients.map((client) => new Promise<void>((resolve) => this.pool._remove(client, resolve))))
  }

  /** Makes the pool known to platforms, the first time. */
  join(): void {
    this.#leave ??= this.#host.join(this)
  }

  /** The next `connect()` is the pool's own, for one statement: the pool releases the client itself. */
  expectOwn(): void {
    this.#isNextOurs = true
  }

  /**
   * A caller calls `connect()`. Returns the callback to use instead, which remembers to which invocation the client went. The first call
   * makes the pool known to platforms: one that is never used does not concern them.
   */
  note(callback: ConnectCallback): ConnectCallback {
    this.join()
    const isOurs = this.#isNextOurs
    this.#isNextOurs = false
    const invocation = isOurs ? undefined : currentInvocation()
    if (!invocation) return callback
    const place: Place = {}
    Error.captureStackTrace(place, this.note)
    return (error, client, release) => {
      if (client) this.#acquisitions.set(client, { invocation, place })
      callback(error, client, release)
    }
  }

  returned(client: PeerClient): void {
    this.#acquisitions.delete(client)
  }

  leave(): void {
    this.#leave?.()
  }
}

/** The invocation that is creating a pool right now. Its stack omits everything above the constructor. */
function originOf(maker: unknown): PoolOrigin | undefined {
  const invocation = currentInvocation()
  if (!invocation) return undefined
  const place: Place = {}
  Error.captureStackTrace(place, maker as () => unknown)
  return { invocation, madeAt: (place.stack ?? '').split('\n').slice(1).join('\n') }
}

/** `connect()` itself, and the functions of ours that it calls: their lines do not help to find the leak. */
function withoutOurLines(stack: string): string {
  return stack.split('\n').slice(4).join('\n')
}
