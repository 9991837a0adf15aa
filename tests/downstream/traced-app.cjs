/** A program that is traced by OpenTelemetry, as its documentation says, and the spans that it makes. Arguments: the package of the Pool, the server's URL. */

const { AsyncLocalStorageContextManager } = require('@opentelemetry/context-async-hooks')
const { context, trace } = require('@opentelemetry/api')
const { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-base')
const { PgInstrumentation } = require('@opentelemetry/instrumentation-pg')

const [, , name, url] = process.argv
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
const exporter = new InMemorySpanExporter()
const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] })
trace.setGlobalTracerProvider(provider)
const instrumentation = new PgInstrumentation({ requireParentSpan: true })
instrumentation.setTracerProvider(provider)
instrumentation.enable()

const { Pool } = require(name)
const tracer = trace.getTracer('app')
const pool = new Pool({ connectionString: url, max: 3, hedge: false })

/** One request of the app: its span, and all that hangs on it. */
function request(title, work) {
  return tracer.startActiveSpan(title, async (span) => {
    await work().catch(() => {})
    span.end()
  })
}

const byConnect = async (text) => {
  const client = await pool.connect()
  await client.query('begin')
  await client.query(text)
  await client.query('commit')
  client.release()
}
const byCallback = (text) => new Promise((resolve) => pool.query(text, () => resolve()))

async function main() {
  for (const round of ['cold', 'warm']) {
    const requests = Array.from({ length: 9 }, (_, index) => {
      const title = `${round} ${index}`
      const text = `select '${title}'`
      return request(title, () => [pool.query.bind(pool), byConnect, byCallback][index % 3](text))
    })
    await Promise.all(requests)
  }
  // Silent for longer than the pool trusts: probed, and read with a probe in front.
  await new Promise((resolve) => setTimeout(resolve, 600))
  await Promise.all([request('read', () => pool.query(`select 'read'`)), request('held', () => byConnect(`select 'held'`))])
  await request('refused', () => pool.query('select no_such_column'))
  await pool.end()
  const spans = exporter.getFinishedSpans()
  const titles = new Map(spans.map((span) => [span.spanContext().spanId, span.name]))
  const told = spans.map((span) => {
    const parent = span.parentSpanContext ? titles.get(span.parentSpanContext.spanId) : undefined
    const { 'db.statement': statement, 'db.query.text': text } = span.attributes
    return `${parent ?? 'none'} > ${span.name} ${statement ?? text ?? ''}`.trim()
  })
  process.stdout.write(JSON.stringify(told.sort()))
}

void main()
