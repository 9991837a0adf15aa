/** Datadog's tracer, without an agent: it writes its spans to the standard output, as it does on Lambda. */

const lines = []
const write = process.stdout.write.bind(process.stdout)
process.stdout.write = (chunk, ...rest) => {
  const text = String(chunk)
  if (!text.startsWith('{"traces":')) return write(chunk, ...rest)
  lines.push(text)
  return true
}

const tracer = require('dd-trace').init({
  service: 'app',
  experimental: { exporter: 'log' },
  flushInterval: 0,
  startupLogs: false,
  runtimeMetrics: false,
  telemetry: { enabled: false },
  remoteConfig: { enabled: false },
})

globalThis.traced = {
  request: (title, work) => tracer.trace('request', { resource: title }, () => work().catch(() => {})),
  async finish() {
    await new Promise((resolve) => setImmediate(resolve))
    return lines
      .flatMap((line) => JSON.parse(line).traces.flat())
      .map(({ span_id: id, parent_id: parent, name, resource, error, meta, metrics, type }) => ({
        id,
        parent,
        name: name === 'request' ? resource : name,
        isRequest: name === 'request',
        facts: { resource, error, type, meta, metrics },
      }))
  },
}
