/**
 * A request after a freeze, in an application that OpenTelemetry's instrumentation has patched: prints its spans with what happened on them. The argument is the
 * package with the pool, its connections are cut meanwhile.
 */

const { context, SpanStatusCode } = require('@opentelemetry/api')
const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks')
const { PgInstrumentation } = require('@opentelemetry/instrumentation-pg')
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base')

const [, , name] = process.argv
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
const exporter = new InMemorySpanExporter()
const tracerProvider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
const instrumentation = new PgInstrumentation()
instrumentation.setTracerProvider(tracerProvider)
instrumentation.enable()

const { Pool } = require(name)
const { observe } = require('@thaw/otel')
const { createStoppableClock, startFaultProxy, startPostgres } = require('@thaw/testkit')

const GAP_MILLIS = 6 * 60_000

async function main() {
  const server = await startPostgres()
  const proxy = await startFaultProxy(server)
  await server.query('create table orders (id int)')
  const clock = createStoppableClock()
  const pool = new Pool({ connectionString: proxy.urlFor(server.url), max: 3, idleTimeoutMillis: 0, ...(name !== 'pg' && { clock }) })
  pool.on('error', () => {})
  if (name !== 'pg') observe(pool, { name: 'orders' })
  for (const client of await Promise.all([1, 2, 3].map(() => pool.connect()))) client.release()
  await pool.query('select 1')
  exporter.reset()

  proxy.cut('rst-on-next-byte')
  clock.addWall(GAP_MILLIS)
  await tracerProvider.getTracer('app').startActiveSpan('GET /orders/7', async (span) => {
    await pool.query('SELECT * FROM orders WHERE id = $1', [7]).catch(({ message }) => {
      span.setStatus({ code: SpanStatusCode.ERROR, message })
    })
    span.end()
  })
  const spans = exporter.getFinishedSpans().map(({ name, status, events }) => ({
    name,
    failed: status.message?.split(':')[0],
    events: events.map((event) => event.attributes?.['thaw.summary']).filter(Boolean),
  }))
  console.log(JSON.stringify(spans))
  await pool.end()
  await proxy.close()
  await server.close()
}

main()
