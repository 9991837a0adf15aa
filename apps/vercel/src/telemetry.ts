/** Traces and metrics for OpenTelemetry. Next.js makes a span of each request by itself, once an exporter is registered. */

import { tracingChannel } from 'node:diagnostics_channel'
import { context, metrics, type Span, SpanKind, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { OTLPMetricExporter } from '@opentelemetry/exporter-metrics-otlp-http'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics'
import { BatchSpanProcessor, type SpanProcessor, TracerProvider } from '@opentelemetry/sdk-trace'
import { waitUntil } from '@vercel/functions'

const NAME = 'app-vercel'
const tracer = trace.getTracer(NAME)

export function startTelemetry(): void {
  startSdk()
  traceStatements()
}

/** Where metrics and spans go, by OTLP. The exporters read `OTEL_EXPORTER_OTLP_ENDPOINT` by themselves. */
function startSdk(): void {
  const resource = resourceFromAttributes({ 'service.name': NAME })
  const meterProvider = new MeterProvider({
    resource,
    readers: [new PeriodicExportingMetricReader({ exporter: new OTLPMetricExporter() })],
  })
  const flush = () => Promise.all([tracerProvider.forceFlush(), meterProvider.forceFlush()]).catch(() => {})
  // A function may be suspended when it has answered: what belongs to a request is sent at its end.
  const atTheEnd: SpanProcessor = {
    onStart() {},
    onEnd: ({ parentSpanContext }) => void (parentSpanContext || waitUntil(flush())),
    forceFlush: async () => {},
    shutdown: async () => {},
  }
  const batch = new BatchSpanProcessor({ exporter: new OTLPTraceExporter() })
  const tracerProvider = new TracerProvider({ resource, spanProcessors: [batch, atTheEnd] })
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  metrics.setGlobalMeterProvider(meterProvider)
  trace.setGlobalTracerProvider(tracerProvider)
}

/** A span for each statement, by the channel on which Thaw publishes it: nothing is patched. */
function traceStatements(): void {
  const spans = new WeakMap<object, Span>()
  const noop = () => {}
  tracingChannel('pg:query').subscribe({
    start(message) {
      const { query } = message as { query: { text: string } }
      const attributes = { 'db.system.name': 'postgresql', 'db.query.text': query.text }
      spans.set(message as object, tracer.startSpan('pg.query', { kind: SpanKind.CLIENT, attributes }))
    },
    error: (message) => void spans.get(message)?.recordException(message.error as Error),
    asyncStart: (message) => void spans.get(message as object)?.end(),
    end: noop,
    asyncEnd: noop,
  })
}
