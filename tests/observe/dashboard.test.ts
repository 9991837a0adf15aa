/** The Grafana dashboard asks for nothing that `observe()` does not make. */

import { DataPointType, MeterProvider, type MetricData, MetricReader } from '@opentelemetry/sdk-metrics'
import { observe } from '@thaw/otel'
import { expect, test } from 'vitest'
import { read } from '../house/repository.ts'

class Reader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}
}

/** A pool to which everything happens once. */
const pool = {
  options: { max: 3 },
  stats: () => ({ total: 2, idle: 1, waiting: 0 }),
  subscribe(listener: Parameters<Parameters<typeof observe>[0]['subscribe']>[0]) {
    listener({ type: 'thawed', gapMillis: 60_000 })
    listener({ type: 'stale', reason: 'broken', silenceMillis: 60_000 })
    listener({ type: 'connected', tookMillis: 5, attempts: 1 })
    listener({ type: 'acquired', how: 'new', waitedMillis: 6 })
    listener({ type: 'released', usedMillis: 7 })
    listener({ type: 'timedOut', waitedMillis: 10_000 })
    const lost = { type: 'outcome', outcome: 'unknown', reason: 'write-in-flight', statement: 'write' } as const
    listener({ ...lost, action: 'retried' })
    listener({ ...lost, action: 'reported' })
    return () => {}
  },
}

/** As OpenTelemetry's exporters and collector name them for Prometheus, with the attributes as labels. */
function prometheusNames(metric: MetricData): string[] {
  const { descriptor, dataPointType, dataPoints } = metric
  const name = descriptor.name.replaceAll('.', '_') + (descriptor.unit === 's' ? '_seconds' : '')
  const labels = dataPoints.flatMap(({ attributes }) => Object.keys(attributes).map((key) => key.replaceAll('.', '_')))
  if (dataPointType === DataPointType.HISTOGRAM) return [`${name}_bucket`, `${name}_sum`, `${name}_count`, ...labels]
  return [metric.dataPointType === DataPointType.SUM && metric.isMonotonic ? `${name}_total` : name, ...labels]
}

test('each metric and label of the dashboard is one that observe() makes, and each metric is on it', async () => {
  const reader = new Reader()
  const meterProvider = new MeterProvider({ readers: [reader] })
  const stop = observe(pool, { meterProvider, name: 'dashboard' })
  const { resourceMetrics } = await reader.collect()
  const made = resourceMetrics.scopeMetrics.flatMap(({ metrics }) => metrics)
  const names = new Set(made.flatMap(prometheusNames))
  const dashboard = await read('docs/dashboards/grafana.json')
  const asked = new Set(dashboard.match(/\b(?:db_client|thaw)_[a-z_]+\b/g))
  expect(asked.size).toBeGreaterThan(10)
  expect([...asked].filter((name) => !names.has(name))).toEqual([])
  const shown = made.filter((metric) => prometheusNames(metric).some((name) => asked.has(name) && !name.includes('pool_name')))
  const left = made.filter((metric) => !shown.includes(metric)).map(({ descriptor }) => descriptor.name)
  expect(left).toEqual(['db.client.connection.idle.max', 'db.client.connection.idle.min'])
  stop()
  await meterProvider.shutdown()
})
