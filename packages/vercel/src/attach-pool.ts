/** Which pools are drained before their instance is suspended, and what becomes of them all at its end. */

import { type Clock, platformDefaults, startDeadline, systemClock } from '@thaw/core'
import { Drain } from './drain.ts'
import { type AttachablePool, asPeerPool } from './peer-pool.ts'

/** Vercel kills an instance 500 ms after SIGTERM. */
const TERMINATION_MILLIS = 400

interface Signals {
  prependListener(signal: 'SIGTERM', listener: () => void): unknown
  off(signal: 'SIGTERM', listener: () => void): unknown
  listenerCount(signal: 'SIGTERM'): number
  kill(pid: number, signal: 'SIGTERM'): unknown
  readonly pid: number
}

interface Attached {
  readonly drains: WeakMap<object, Drain>
  /** The same, to go through at the end. */
  readonly all: Set<WeakRef<Drain>>
}

const ATTACHED = Symbol.for('thaw.vercel')

/** Of the whole process: two copies of this package must not both drain a pool. */
function attached(): Attached {
  const holder = globalThis as { [ATTACHED]?: Attached }
  holder[ATTACHED] ??= { drains: new WeakMap(), all: listenForTermination(new Set(), systemClock) }
  return holder[ATTACHED]
}

/**
 * Leaves no session of this pool behind when Vercel suspends the instance. What Vercel's `attachDatabasePool` promises, for each pool by
 * itself: the instance is held by `waitUntil` until the pool has not been used for its `idleTimeoutMillis` and its idle connections are closed.
 *
 * With `idleTimeoutMillis: 0`, and for the `min` connections that pg-pool keeps, they are closed all the same: after 5 s, or after the idle
 * timeout; and one second before the deadline of the last invocation that holds the instance. What is used outside of a request, where nothing
 * can hold the instance, is closed as soon as it is given back. At SIGTERM idle connections are closed within 400 ms; if nobody else
 * listens for SIGTERM, the process then ends of it as it would have.
 *
 * For a `pg.Pool` as well as for Thaw's. Has no effect off Vercel, nor the second time. {@link withThaw} does it for every pool of Thaw's.
 *
 * @returns the pool.
 * @throws {OptionError} when it is given something else.
 */
export function attachPool<Pool extends AttachablePool>(pool: Pool): Pool {
  asPeerPool(pool)
  attachNew(pool, systemClock)
  return pool
}

/** Attaches the pool, if it should be and is not. */
export function attachNew(pool: object, clock: Clock): Drain | undefined {
  if (platformDefaults().platform !== 'vercel') return undefined
  const { drains, all } = attached()
  if (drains.has(pool)) return undefined
  const drain = new Drain(asPeerPool(pool), clock)
  drains.set(pool, drain)
  for (const reference of all) if (!reference.deref()) all.delete(reference)
  all.add(new WeakRef(drain))
  return drain
}

function listenForTermination(all: Attached['all'], clock: Clock): Attached['all'] {
  const signals = (globalThis as { process?: Partial<Signals> }).process as Signals | undefined
  // The edge runtime has no signals.
  if (!signals?.prependListener) return all
  const terminate = () => {
    // Counted first, while listeners for one time are still there. Who else listens decides for himself when the process ends.
    const isAlone = signals.listenerCount('SIGTERM') === 1
    const leave = () => {
      signals.off('SIGTERM', terminate)
      if (isAlone) signals.kill(signals.pid, 'SIGTERM')
    }
    const drains = [...all].flatMap((reference) => reference.deref() ?? [])
    const deadline = startDeadline(clock, TERMINATION_MILLIS, leave)
    void Promise.all(drains.map((drain) => drain.terminate())).then(() => {
      deadline.cancel()
      leave()
    })
  }
  signals.prependListener('SIGTERM', terminate)
  return all
}
