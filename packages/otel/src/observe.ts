/** Which pool to observe, and with which provider: checks both, and observes each pool once. */

import { type Attributes, type MeterProvider, metrics } from '@opentelemetry/api'
import { checkObserveOptions } from './check-options.ts'
import { instrumentsOf } from './instruments.ts'
import { checkPool, nameOf, type ObservablePool } from './observable-pool.ts'
import { spanEvents } from './span-events.ts'

export interface ObserveOptions {
  /** Where the metrics go. Default: the global one, as soon as there is one. */
  readonly meterProvider?: MeterProvider
  /** `db.client.connection.pool.name`. Default: `host:port/database`. Either is followed by a number where pools would have it at the same time. */
  readonly name?: string
  /** On each measurement and span event, beside the pool's name. Default: none. */
  readonly attributes?: Attributes
  /** Add events for a thaw, and for a statement that was retried, to the current span? Default: true. */
  readonly spanEvents?: boolean
}

/** For two copies of this package, as an ES module and as CommonJS. */
const OBSERVED = Symbol.for('thaw.otel')

interface Registry {
  /** How to stop, by where the metrics of a pool go to. */
  readonly pools: WeakMap<object, Map<object, () => void>>
  /** Names in use, and by which pool: it is free again when the pool is no longer observed, or no longer there. */
  readonly names: Map<string, WeakRef<object>>
  /** Who tells the spans of a pool's requests: the first, and the next when that one has stopped. */
  readonly tellers: WeakMap<object, Set<object>>
}

function registry(): Registry {
  const holder = globalThis as { [OBSERVED]?: Registry }
  holder[OBSERVED] ??= { pools: new WeakMap(), names: new Map(), tellers: new WeakMap() }
  return holder[OBSERVED]
}

const GLOBAL = {}

/**
 * Measures a pool from now until it ends. For any number of pools; a pool that is already observed is not observed twice.
 *
 * ```ts
 * const pool = new Pool()
 * observe(pool)
 * ```
 *
 * @returns the function that stops it. For a pool that is already observed, the same one.
 * @throws {OptionError} if it is not a Thaw pool, an option is misspelt or has an impossible value, or the meter provider is not one of OpenTelemetry's API 1.3 or later.
 */
export function observe(pool: ObservablePool, options: ObserveOptions = {}): () => void {
  checkPool(pool)
  checkObserveOptions(options)
  const { meterProvider, attributes: given, spanEvents: wantsSpans = true } = options
  const { pools, names, tellers } = registry()
  const known = pools.get(pool) ?? new Map<object, () => void>()
  const stopKnown = known.get(meterProvider ?? GLOBAL)
  if (stopKnown) return stopKnown
  let provider = meterProvider ?? metrics.getMeterProvider()
  let instruments = instrumentsOf(provider)
  if ((pool as { ended?: boolean }).ended === true) return () => {}
  const name = unshared(options.name ?? nameOf(pool.options), pool, names)
  const attributes = { 'db.client.connection.pool.name': name, ...given }
  const observed = { pool: new WeakRef(pool), attributes }
  const telling = tellers.get(pool) ?? new Set<object>()
  tellers.set(pool, telling)
  if (wantsSpans) telling.add(observed)
  const tellSpans = wantsSpans ? spanEvents(attributes, () => telling.values().next().value === observed) : undefined
  instruments.pools.add(observed)
  const leave = pool.subscribe((event) => {
    // An app may create its pool, and use it, before its meter provider.
    if (!meterProvider && provider !== metrics.getMeterProvider()) {
      instruments.pools.delete(observed)
      provider = metrics.getMeterProvider()
      instruments = instrumentsOf(provider)
      instruments.pools.add(observed)
    }
    instruments.measure(event, attributes)
    tellSpans?.(event)
    if (event.type === 'drained') stop()
  })
  const stop = () => {
    leave()
    instruments.pools.delete(observed)
    telling.delete(observed)
    known.delete(meterProvider ?? GLOBAL)
    if (known.size === 0) for (const [one, holder] of names) if (holder.deref() === pool) names.delete(one)
  }
  known.set(meterProvider ?? GLOBAL, stop)
  pools.set(pool, known)
  return stop
}

/** The name, with the lowest number that no other pool has. */
function unshared(name: string, pool: object, names: Map<string, WeakRef<object>>): string {
  for (let number = 1; ; number++) {
    const numbered = number === 1 ? name : `${name} (${number})`
    const holder = names.get(numbered)?.deref()
    if (holder && holder !== pool) continue
    names.set(numbered, new WeakRef(pool))
    return numbered
  }
}
