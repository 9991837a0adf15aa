/** Which pools are drained before their instance is suspended, and what becomes of all of them when it ends. */

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
  /** The same, to iterate over at the end. */
  readonly all: Set<WeakRef<Drain>>
}

const ATTACHED = Symbol.for('thaw.vercel')

/** Process-wide: two copies of this package must not both drain a pool. */
function attached(): Attached {
  const holder = globalThis as { [ATTACHED]?: Attached }
  holder[ATTACHED] ??= { drains: new WeakMap(), all: listenForTermination(new Set(), systemClock) }
  return holder[ATTACHED]
}

/**
 * Leaves no session of this pool behind when Vercel suspends the instance. It does what Vercel's `attachDatabasePool` promises, for each
 * pool separately: `waitUntil` keeps the instance awake until the pool has been unused for its `idleTimeoutMillis` and its idle connections
 * are closed.
 *
 * With `idleTimeoutMillis: 0`, and for the `min` connections that pg-pool keeps, they are closed too: after 5 s, or after the idle timeout;
 * and one second before the deadline of the last invocation that keeps the instance awake. A connection used outside a request, where
 * nothing can keep the instance awake, is closed as soon as it is released. On SIGTERM, idle connections are closed within 400 ms; if
 * nothing else listens for SIGTERM, the process then ends as it would have.
 *
 * Works for a `pg.Pool` as well as for Thaw's. Has no effect outside Vercel, nor the second time. {@link withThaw} does it for every Thaw
 * pool.
 *
 * @returns the pool.
 * @throws {OptionError} if it is given something else.
 */
export function attachPool<Pool extends AttachablePool>(pool: Pool): Pool {
  asPeerPool(pool)
  attachNew(pool, systemClock)
  return pool
}

/** Attaches the pool, unless it is attached already or should not be. */
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
    // Counted first, while one-time listeners are still there. Any other listener decides itself when the process ends.
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
