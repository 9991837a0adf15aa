/** Next.js calls this once, before the first request. */

export async function register(): Promise<void> {
  if (process.env.NEXT_RUNTIME !== 'nodejs' || !process.env.OTEL_EXPORTER_OTLP_ENDPOINT) return
  const { startTelemetry } = await import('./telemetry.ts')
  startTelemetry()
}
