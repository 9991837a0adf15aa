/** OpenTelemetry, set up as its documentation says, with what it sees kept in this process. */

const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks')
const { context, metrics, trace } = require('@opentelemetry/api')
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base')
const {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} = require('@opentelemetry/sdk-metrics')
const { PgInstrumentation } = require('@opentelemetry/instrumentation-pg')

const { hooks, ...options } = JSON.parse(process.env.TRACED_OPTIONS ?? '{}')
if (hooks) {
  options.requestHook = (span, { query }) => span.setAttribute('asked', query.text)
  options.responseHook = (span, { data }) => span.setAttribute('rows', data.rowCount ?? -1)
}
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
const exporter = new InMemorySpanExporter()
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
trace.setGlobalTracerProvider(provider)
const measured = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE)
const reader = new PeriodicExportingMetricReader({ exporter: measured, exportIntervalMillis: 3_600_000 })
const meterProvider = new MeterProvider({ readers: [reader] })
metrics.setGlobalMeterProvider(meterProvider)
const instrumentation = new PgInstrumentation(options)
instrumentation.setTracerProvider(provider)
instrumentation.setMeterProvider(meterProvider)
instrumentation.enable()

/** Without the port, which is another one each time. */
const labels = ({ 'db.client.connection.pool.name': _, 'server.port': __, ...attributes }) => Object.values(attributes).sort().join(' ')

const tracer = trace.getTracer('app')

globalThis.traced = {
  // With that option it copies whatever has a text, and a copy of a cursor is none: https://github.com/open-telemetry/opentelemetry-js-contrib
  breaksSubmittables: options.addSqlCommenterCommentToQueries === true,
  request: (title, work) =>
    tracer.startActiveSpan(title, async (span) => {
      await work().catch(() => {})
      span.end()
    }),
  async collect() {
    await reader.forceFlush()
    const last = measured.getMetrics().at(-1)?.scopeMetrics ?? []
    const points = last.flatMap(({ metrics }) =>
      metrics.flatMap(({ descriptor, dataPoints }) => dataPoints.map((point) => ({ ...point, name: descriptor.name }))),
    )
    return Object.fromEntries(points.map(({ name, attributes, value }) => [`${name} ${labels(attributes)}`.trim(), value.count ?? value]))
  },
  async finish() {
    const spans = exporter.getFinishedSpans()
    return spans.map((span) => ({
      id: span.spanContext().spanId,
      parent: span.parentSpanContext?.spanId,
      name: span.name,
      isRequest: span.instrumentationScope.name === 'app',
      facts: {
        attributes: span.attributes,
        kind: span.kind,
        status: span.status,
        events: span.events.map(({ name, attributes }) => ({
          name,
          type: attributes?.['exception.type'],
          message: attributes?.['exception.message'],
        })),
      },
    }))
  },
}
