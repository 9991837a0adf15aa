/** OpenTelemetry's own instrumentation of pg sees of a Thaw pool what it sees of pg's, each span under the request that it belongs to. */

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

async function spansOf(name: string): Promise<string[]> {
  const app = fileURLToPath(new URL('./traced-app.cjs', import.meta.url))
  const { stdout } = await promisify(execFile)(process.execPath, [app, name, server.url])
  return JSON.parse(stdout)
}

/** A connection is opened for whoever waits first, which is not the same caller in both. */
const isPoolSpan = (span: string) => / > pg(-pool)?\.connect$/.test(span)
const kindOf = (span: string) => span.replace(/^.* > /, '')

test('the same spans under the same requests', async () => {
  const [stock, thaw] = await Promise.all([spansOf('pg'), spansOf('@thaw/pg')])
  const statements = (spans: string[]) => spans.filter((span) => !isPoolSpan(span))
  expect(statements(thaw).filter((span) => span.startsWith('none') && span.includes('pg.query'))).toEqual([])
  for (const span of statements(thaw)) {
    const [request, statement = ''] = span.split(' > ')
    // Each names its request in its text.
    if (statement.includes("select '")) expect(statement).toContain(`select '${request}'`)
  }
  expect(statements(thaw).map(kindOf).sort()).toEqual(statements(stock).map(kindOf).sort())
  const acquired = (spans: string[]) => spans.filter((span) => span.endsWith('pg-pool.connect'))
  expect(acquired(thaw)).toEqual(acquired(stock))
})
