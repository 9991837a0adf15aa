/** Which pool to observe, and with which provider: checks both, and observes each pool once. */

import { type Attributes, type MeterProvider, metrics } from '@opentelemetry/api'
import { instrumentsOf } from './instruments.ts'
import { checkPool, nameOf, type ObservablePool } from './observable-pool.ts'
import { spanEvents } from './span-events.ts'

export interface ObserveOptions {
  /** Where the metrics go. Default: the global one, as soon as there is one. */
  readonly meterProvider?: MeterProvider
  /** `db.client.connection.pool.name`. Default: `host:port/database`, followed by a number where pools would share it. */
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
  /** Names in use, and for how many pools each has been requested. */
  readonly names: Map<string, number>
}

function registry(): Registry {
  const holder = globalThis as { [OBSERVED]?: Registry }
  holder[OBSERVED] ??= { pools: new WeakMap(), names: new Map() }
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
 * @throws {OptionError} if it is not a Thaw pool, or the meter provider is not one of OpenTelemetry's API 1.3 or later.
 */
export function observe(pool: ObservablePool, options: ObserveOptions = {}): () => void {
  checkPool(pool)
  const { meterProvider, attributes: given, spanEvents: wantsSpans = true } = options
  const { pools, names } = registry()
  const known = pools.get(pool) ?? new Map<object, () => void>()
  const stopKnown = known.get(meterProvider ?? GLOBAL)
  if (stopKnown) return stopKnown
  const attributes = { 'db.client.connection.pool.name': options.name ?? unshared(nameOf(pool.options), names), ...given }

  let provider = meterProvider ?? metrics.getMeterProvider()
  let instruments = instrumentsOf(provider)
  const observed = { pool, attributes }
  const tellSpans = wantsSpans && known.size === 0 ? spanEvents(attributes) : undefined
  instruments.pools.add(observed)
  const leave = pool.subscribe((event) => {
    // An app may create its pool before its meter provider.
    if (!meterProvider && event.type === 'connected' && provider !== metrics.getMeterProvider()) {
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
    known.delete(meterProvider ?? GLOBAL)
  }
  known.set(meterProvider ?? GLOBAL, stop)
  pools.set(pool, known)
  return stop
}

function unshared(name: string, names: Map<string, number>): string {
  const count = (names.get(name) ?? 0) + 1
  names.set(name, count)
  return count === 1 ? name : `${name} (${count})`
}
