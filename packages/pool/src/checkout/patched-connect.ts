/**
 * pg-pool's `connect` as tracing tools have wrapped it: OpenTelemetry's, Sentry's. Ours takes its place and never calls it, so their spans and metrics would
 * be gone. Where it is wrapped, each `connect` goes through the wrapper, and comes out with us instead of pg-pool.
 */

import type { ConnectCallback, PendingItem } from '../driver/peer.ts'
import type { ConnectOptions } from '../options/options.ts'

type Connect = (this: object, callback?: ConnectCallback) => Promise<never> | undefined

/** What pg-pool's own calls, under this name in each version and in Neon's bundle. A wrapper of somebody else does not. */
const STOCK = /\.newClient\(/
const known = new WeakMap<Connect, boolean>()

export interface PatchedConnect {
  /** The pool's `connect`, by way of the wrapper. */
  connect(callback: ConnectCallback | undefined, options: ConnectOptions | undefined): Promise<never> | undefined
}

/**
 * How to connect through the wrapper, if somebody has put one around pg-pool's `connect`. pg-pool's own is shown a pool that has room for one more connection
 * and none that is idle, so that it asks for a new one at once: that is where `acquire` comes in. To the wrapper it is the pool: properties that it
 * sets, and listeners that it adds, are the pool's.
 */
export function patchedConnect(
  { prototype }: { readonly prototype: object },
  pool: object,
  acquire: (callback: ConnectCallback, options: ConnectOptions | undefined) => void,
): PatchedConnect | undefined {
  const { connect } = prototype as { readonly connect: Connect }
  if (isStock(connect)) return undefined
  let current: ConnectOptions | undefined
  const shown: Readonly<Record<string | symbol, unknown>> = {
    _isFull: () => false,
    _idle: [],
    newClient: ({ callback }: PendingItem) => acquire(callback, current),
  }
  const seen = new Proxy(pool, {
    // Getters of the pool look at private members, which a proxy has not.
    get: (target, name) => (Object.hasOwn(shown, name) ? shown[name] : Reflect.get(target, name, target)),
    set: (target, name, value) => Reflect.set(target, name, value, target),
  })
  return {
    connect(callback, options) {
      current = options
      try {
        return callback ? connect.call(seen, callback) : connect.call(seen)
      } finally {
        current = undefined
      }
    },
  }
}

function isStock(connect: Connect): boolean {
  let isIt = known.get(connect)
  if (isIt === undefined) {
    isIt = STOCK.test(Function.prototype.toString.call(connect))
    known.set(connect, isIt)
  }
  return isIt
}
