/**
 * pg-pool's methods as tracing tools have wrapped them: OpenTelemetry's, Sentry's, Datadog's. Ours take their place and never call them, so
 * the tools' spans and metrics would be lost. If one is wrapped, each call goes through the wrapper, and comes out at our method instead of
 * pg-pool's.
 */

import type { ConnectCallback, PendingItem } from '../driver/peer.ts'
import type { Callback } from '../driver/promisify.ts'
import { type MethodName, watchMethod } from '../driver/stock.ts'
import type { ConnectOptions, EndOptions } from '../options/options.ts'

type Method = (this: object, ...values: unknown[]) => Promise<never> | undefined
type Answer = Callback<unknown>

/** The pool's own methods, without any wrapper. */
export interface Inside {
  acquire(callback: ConnectCallback, options: ConnectOptions | undefined): void
  query(text: unknown, values: unknown, callback: Answer): void
  end(options: EndOptions | undefined, callback: Answer): void
}

/** Have the methods of the driver's Pool been replaced? One for each class: its pools share what was detected. */
export type Wrappers = Readonly<Record<'connect' | 'query' | 'end', () => Method | undefined>>

export function wrappersOf({ prototype }: { readonly prototype: object }): Wrappers {
  const watch = (key: 'connect' | 'query' | 'end') =>
    watchMethod(prototype, key, `pool.${key}` satisfies MethodName) as () => Method | undefined
  return { connect: watch('connect'), query: watch('query'), end: watch('end') }
}

/**
 * Goes through the wrappers. pg-pool's own code, beneath them, is shown a pool that has room for one more connection and no idle one, so
 * that it asks for a new one at once: that is where `acquire` comes in. Its `query` gets a stand-in for a client, and its `end` finds
 * nothing to do. To the wrappers it is the pool: properties that they set, and listeners that they add, are the pool's.
 */
export class WrappedPool {
  readonly #seen: object
  #connectOptions: ConnectOptions | undefined
  #endOptions: EndOptions | undefined
  #ended: Answer = () => {}

  constructor(pool: object, inside: Inside) {
    const shown: Readonly<Record<string | symbol, unknown>> = {
      _isFull: () => false,
      _idle: [],
      newClient: ({ callback }: PendingItem) => inside.acquire(callback, this.#connectOptions),
      connect: (callback: ConnectCallback) => callback(undefined, standIn(inside) as never, () => {}),
      _pulseQueue: () => inside.end(this.#endOptions, this.#ended),
    }
    this.#seen = new Proxy(pool, {
      // Getters of the pool read private members, which a proxy does not have.
      get: (target, name) => (Object.hasOwn(shown, name) ? shown[name] : Reflect.get(target, name, target)),
      set: (target, name, value) => {
        // The pool's own `end` sets both.
        if (name === '_endCallback') this.#ended = value as Answer
        return name === '_endCallback' || name === 'ending' || Reflect.set(target, name, value, target)
      },
    })
  }

  connect(wrapper: Method, callback: ConnectCallback | undefined, options: ConnectOptions | undefined): Promise<never> | undefined {
    this.#connectOptions = options
    try {
      return wrapper.call(this.#seen, ...given(callback))
    } finally {
      this.#connectOptions = undefined
    }
  }

  query(wrapper: Method, text: unknown, values: unknown, callback: unknown): Promise<never> | undefined {
    return wrapper.call(this.#seen, text, ...given(values, callback))
  }

  end(wrapper: Method, options: EndOptions | undefined, callback: unknown): Promise<never> | undefined {
    this.#endOptions = options
    try {
      return wrapper.call(this.#seen, ...given(callback))
    } finally {
      this.#endOptions = undefined
    }
  }
}

/** The values up to the last one that was given: wrappers look for a callback in the last place. */
function given(...values: unknown[]): unknown[] {
  return values.slice(0, values.findLastIndex((value) => value !== undefined) + 1)
}

/** What pg-pool's own `query` does with its client, if that is a stand-in. */
function standIn({ query }: Inside): object {
  const nothing = () => {}
  return { once: nothing, removeListener: nothing, release: nothing, query }
}
