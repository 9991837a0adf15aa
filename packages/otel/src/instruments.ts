/**
 * The instruments of one meter provider, for all pools that are measured by it. Names, units and buckets are those of the semantic conventions
 * (https://opentelemetry.io/docs/specs/semconv/database/database-metrics/), and Thaw's own beside them.
 */

import type { Attributes, BatchObservableResult, Counter, Histogram, Meter, MeterProvider } from '@opentelemetry/api'
import { OptionError, type ThawEvent } from '@thaw/core'
import type { ObservablePool } from './observable-pool.ts'

/** A pool, and the attributes of its measurements. */
export interface Observed {
  /** Weak: a pool that is dropped without an end would be kept forever. */
  readonly pool: WeakRef<ObservablePool>
  readonly attributes: Attributes
}

/** In seconds, as the conventions advise. */
const BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10]
const METHODS = ['createCounter', 'createHistogram', 'createObservableUpDownCounter', 'addBatchObservableCallback'] as const

const made = new WeakMap<MeterProvider, Instruments>()

/**
 * One for each provider, so that nothing is registered twice.
 *
 * @throws {OptionError} if it is not a meter provider, or has another API.
 */
export function instrumentsOf(provider: MeterProvider): Instruments {
  const known = made.get(provider)
  if (known) return known
  const instruments = new Instruments(meterOf(provider))
  made.set(provider, instruments)
  return instruments
}

function meterOf(provider: Partial<MeterProvider> | undefined): Meter {
  const meter = typeof provider?.getMeter === 'function' ? provider.getMeter('@thaw/otel') : undefined
  const missing = METHODS.filter((name) => typeof meter?.[name] !== 'function')
  if (meter && missing.length === 0) return meter
  throw new OptionError({
    option: 'meterProvider',
    allowed: 'a MeterProvider of @opentelemetry/sdk-metrics 1 or later',
    message: meter
      ? `observe() received a meterProvider whose meters have no ${missing.join(', no ')}: it belongs to a different version than @opentelemetry/api 1.3 or later, which @thaw/otel uses. Install @opentelemetry/sdk-metrics 1 or later.`
      : 'observe() received a meterProvider without the method getMeter. Write new MeterProvider({ readers }) of @opentelemetry/sdk-metrics, or leave it out.',
  })
}

/** What there is to measure. */
class Instruments {
  readonly pools: Set<Observed> = new Set()
  readonly #timeouts: Counter
  readonly #createTime: Histogram
  readonly #waitTime: Histogram
  readonly #useTime: Histogram
  readonly #thaws: Counter
  readonly #dead: Counter
  readonly #retried: Counter
  readonly #unknown: Counter

  constructor(meter: Meter) {
    const counter = (name: string, unit: string, description: string) => meter.createCounter(name, { unit: `{${unit}}`, description })
    const times = (name: string, description: string) =>
      meter.createHistogram(`db.client.connection.${name}`, { unit: 's', description, advice: { explicitBucketBoundaries: BUCKETS } })
    this.#timeouts = counter('db.client.connection.timeouts', 'timeout', 'Callers that waited for a connection and got none in time')
    this.#createTime = times('create_time', 'Time it took to create a new connection')
    this.#waitTime = times('wait_time', 'Time it took to obtain an open connection from the pool')
    this.#useTime = times('use_time', 'Time between borrowing a connection and returning it to the pool')
    this.#thaws = counter('thaw.thaws', 'thaw', 'Freezes of the process that the pool has noticed')
    this.#dead = counter('thaw.connections.dead', 'connection', 'Idle connections that were found dead before a statement was sent')
    this.#retried = counter(
      'thaw.statements.retried',
      'statement',
      'Statements that lost their connection, and transactions, that were retried',
    )
    this.#unknown = counter(
      'thaw.statements.unknown',
      'statement',
      'Statements that lost their connection, for which no client can know whether they were executed',
    )
    this.#observe(meter)
  }

  /** Counts and times what happens. */
  measure(event: ThawEvent, attributes: Attributes): void {
    switch (event.type) {
      case 'acquired':
        return this.#waitTime.record(event.waitedMillis / 1000, attributes)
      case 'released':
        return this.#useTime.record(event.usedMillis / 1000, attributes)
      case 'connected':
        return this.#createTime.record(event.tookMillis / 1000, attributes)
      case 'timedOut':
        return this.#timeouts.add(1, attributes)
      case 'thawed':
        return this.#thaws.add(1, attributes)
      case 'stale':
        // The others were healthy.
        if (event.reason === 'idle' || event.reason === 'lifetime') return
        return this.#dead.add(1, { ...attributes, 'thaw.reason': event.reason })
      case 'retried':
        if (event.what === 'transaction') this.#retried.add(1, { ...attributes, 'thaw.statement': 'transaction' })
        return
      case 'outcome':
        if (event.action === 'retried') this.#retried.add(1, { ...attributes, 'thaw.statement': event.statement })
        else if (event.outcome === 'unknown') this.#unknown.add(1, { ...attributes, 'thaw.statement': event.statement })
    }
  }

  /** Current values, read whenever a reader collects. */
  #observe(meter: Meter): void {
    const gauge = (name: string, unit: string, description: string) =>
      meter.createObservableUpDownCounter(`db.client.connection.${name}`, { unit: `{${unit}}`, description })
    const count = gauge('count', 'connection', 'Connections that are idle or used')
    const max = gauge('max', 'connection', 'Open connections allowed at most')
    const idleMax = gauge('idle.max', 'connection', 'Idle open connections allowed at most')
    const idleMin = gauge('idle.min', 'connection', 'Idle open connections kept at least')
    const pending = gauge('pending_requests', 'request', 'Callers that wait for a connection')
    const observe = (result: BatchObservableResult) => {
      for (const observed of this.pools) {
        const { attributes } = observed
        const pool = observed.pool.deref()
        if (!pool) {
          this.pools.delete(observed)
          continue
        }
        const { total, idle, waiting } = pool.stats()
        const { max: most, min } = pool.options as { max?: unknown; min?: unknown }
        result.observe(count, idle, { ...attributes, 'db.client.connection.state': 'idle' })
        result.observe(count, total - idle, { ...attributes, 'db.client.connection.state': 'used' })
        result.observe(pending, waiting, attributes)
        result.observe(max, Number(most), attributes)
        // A pool keeps as many as it may have, and closes them only for their age.
        result.observe(idleMax, Number(most), attributes)
        result.observe(idleMin, Number(min ?? 0), attributes)
      }
    }
    meter.addBatchObservableCallback(observe, [count, max, idleMax, idleMin, pending])
  }
}

export type { Instruments }
