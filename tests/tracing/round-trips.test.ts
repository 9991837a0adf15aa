/** What it costs to be watched: what tools wrap or listen to, the pool does as `pg` does it. As docs/reference/tracing-tools.md says it. */

import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { type PostgresServer, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, expect, test } from 'vitest'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())

const path = (file: string) => fileURLToPath(new URL(file, import.meta.url))

async function measured(tool: string | undefined, how = ''): Promise<unknown> {
  const imports = tool ? ['--import', path(tool)] : []
  const vercel = { VERCEL: '1', VERCEL_URL: 'app.vercel.app', VERCEL_REGION: 'fra1' }
  const env = { ...process.env, ...(how.startsWith('attach') && vercel), TRACED_OPTIONS: '{}' }
  const { stdout } = await promisify(execFile)(process.execPath, [...imports, path('round-trips.mjs'), server.url, how], { env })
  return JSON.parse(stdout.trim().split('\n').at(-1) ?? '')
}

test.for([
  ['nothing', undefined, '', 1, 'piggybacked'],
  ['observe() of @thaw/otel', undefined, 'observe', 1, 'piggybacked'],
  ['a subscriber of pg:connection', undefined, 'pg:connection', 1, 'piggybacked'],
  ['a subscriber of pg:query', undefined, 'pg:query', 3, 'piggybacked'],
  ['a subscriber of pg:pool:connect', undefined, 'pg:pool:connect', 3, 'piggybacked'],
  ['Sentry', 'sentry.mjs', '', 3, 'piggybacked'],
  ['Datadog', 'datadog.mjs', '', 3, 'piggybacked'],
  ['attachDatabasePool of Vercel', undefined, 'attachDatabasePool', 3, 'piggybacked'],
  ['attachPool, and so withThaw of @thaw/vercel', undefined, 'attachPool', 1, 'piggybacked'],
  // Its listener of `acquire` might send something in front of the read.
  ['OpenTelemetry', 'opentelemetry.mjs', '', 3, 'probed'],
] as const)('with %s', async ([, tool, how, roundTrips, acquired]) => {
  expect(await measured(tool, how)).toEqual({ roundTrips, acquired: [acquired] })
})
