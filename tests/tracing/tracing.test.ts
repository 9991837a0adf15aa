/**
 * The tracing tools that people have see of a Thaw pool what they see of pg's: the same spans, under the same requests, with the same attributes. Without any fault, and
 * where the connections of the Thaw pool are cut, silenced, lost under their statements.
 */

import { type PostgresServer, startNeon, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type Modules, type Run, type Tool, type Trace, traced as trace } from './traced.ts'

let server: PostgresServer
let config: Readonly<Record<string, unknown>>

beforeAll(async () => {
  server = await startPostgres()
  const { hostname, port, username, password, pathname } = new URL(server.url)
  config = { host: hostname, port: Number(port), user: username, password, database: pathname.slice(1) }
})
afterAll(() => server.close())

const traces = new Map<string, Promise<Trace>>()

/** The same run is made once: each is a process that loads its tool. */
function traced(run: Run): Promise<Trace> {
  const key = JSON.stringify(run)
  const made = traces.get(key) ?? trace(run)
  traces.set(key, made)
  return made
}

const both = async (run: Pick<Run, 'tool' | 'modules' | 'options'>) => {
  const [stock, thaw, hurt] = await Promise.all([
    traced({ ...run, config, name: 'pg' }),
    traced({ ...run, config, name: '@thaw/pg' }),
    traced({ ...run, config, name: '@thaw/pg', isHurt: true }),
  ])
  return { stock, thaw, hurt }
}

const TOOLS: readonly [Tool, Modules][] = [
  ['opentelemetry', 'CommonJS'],
  ['opentelemetry', 'ES modules'],
  ['sentry', 'CommonJS'],
  ['sentry', 'ES modules'],
  ['datadog', 'CommonJS'],
  ['datadog', 'ES modules'],
]

describe.each(TOOLS)('%s, %s', (tool, modules) => {
  test('the same spans as with plain pg', async () => {
    const { stock, thaw, hurt } = await both({ tool, modules })
    expect(stock.spans.length).toBeGreaterThan(90)
    expect(difference(thaw.spans, stock.spans)).toEqual(NONE)
    // One for each statement, however often it was sent, and none for what the pool asks by itself.
    expect(difference(hurt.spans, stock.spans)).toEqual(NONE)
    for (const fault of ['fin', 'rst-on-next-byte', 'lost-answer', 'rst', 'drop'] as const) expect(hurt.struck?.[fault]).toBeGreaterThan(0)
    // Datadog sees pg's `connect` twice in programs of ES modules, plain pg's as well.
    expect([...new Set(thaw.failed)]).toEqual(['timed out: statement', 'aborted: statement', 'wait timed out: connection'])
    expect(thaw.failed.filter((line) => line.endsWith('statement'))).toHaveLength(2)
    // Each connection is opened under the request that it is opened for. One that was overtaken may end late, or never: there is no telling how many there are.
    const openers = stock.connects.map(requestOf)
    expect(openers).toEqual(expect.arrayContaining(thaw.connects.map(requestOf).filter((name) => name !== 'hedged')))
    expect([...thaw.connects, ...hurt.connects].filter((line) => line.startsWith('none'))).toEqual([])
  })
})

/** Sentry does not look at how Neon's pool is connected, so that who waits is seen under another request, or not at all. With Thaw it is as with `pg`. */
test.each(['CommonJS', 'ES modules'] as const)("sentry, %s, beside Neon's driver", async (modules) => {
  await using neon = await startNeon()
  const run = { tool: 'sentry', modules, config: { connectionString: neon.url, driver: neon.driver } } as const
  const [pg, stock, thaw, hurt] = await Promise.all([
    traced({ ...run, config, name: 'pg' }),
    traced({ ...run, name: '@neondatabase/serverless' }),
    traced({ ...run, name: '@thaw/neon' }),
    traced({ ...run, name: '@thaw/neon', isHurt: true }),
  ])
  const statements = pg.spans.map(pathOf).filter((path) => !/^submittables|pg-pool\.connect$/.test(path))
  for (const { spans } of [thaw, hurt]) {
    expect(difference(spans.map(pathOf), [...statements, 'over HTTP > select'])).toEqual(NONE)
    expect([...new Set(spans.map(factsOf))].filter((facts) => !stock.spans.some((line) => factsOf(line) === facts))).toEqual([])
  }
  for (const fault of ['fin', 'rst-on-next-byte', 'lost-answer', 'drop'] as const) expect(hurt.struck?.[fault]).toBeGreaterThan(0)
})

test('the same metrics of OpenTelemetry', async () => {
  const run = { tool: 'opentelemetry', modules: 'CommonJS', config } as const
  const [stock, thaw] = await Promise.all([traced({ ...run, name: 'pg' }), traced({ ...run, name: '@thaw/pg' })])
  const { busy, idle, ended } = stock.metrics ?? {}
  expect(busy).toMatchObject({
    'db.client.connection.count used': 2,
    'db.client.connection.max': 2,
    'db.client.connection.pending_requests': 1,
    'db.client.operation.duration 127.0.0.1 42703 SELECT postgres postgresql': 1,
  })
  expect(thaw.metrics).toEqual({
    busy,
    // pg-pool tells of a release before the connection is idle, so that OpenTelemetry takes the last one for used until something else happens.
    idle: { ...idle, 'db.client.connection.count used': 0, 'db.client.connection.count idle': 2 },
    ended,
  })
  expect(idle).toMatchObject({ 'db.client.connection.count used': 1, 'db.client.connection.count idle': 1 })
  expect(ended).toMatchObject({ 'db.client.connection.count used': 0, 'db.client.connection.max': 0 })
})

describe('the options of OpenTelemetry', () => {
  test.each([
    ['requireParentSpan', { requireParentSpan: true }],
    ['enhancedDatabaseReporting, and hooks', { enhancedDatabaseReporting: true, hooks: true }],
    ['addSqlCommenterCommentToQueries', { addSqlCommenterCommentToQueries: true }],
  ])('%s', async (_name, options) => {
    const { stock, thaw, hurt } = await both({ tool: 'opentelemetry', modules: 'CommonJS', options })
    expect(stock.spans.length).toBeGreaterThan(90)
    expect(difference(thaw.spans, stock.spans)).toEqual(NONE)
    expect(difference(hurt.spans, stock.spans)).toEqual(NONE)
  })
})

test('ignoreConnectSpans: plain pg serves who waits in the context of another request, and Thaw does not', async () => {
  const run = { tool: 'opentelemetry', modules: 'CommonJS', config } as const
  const [stock, wrong, thaw] = await Promise.all([
    traced({ ...run, name: 'pg' }),
    traced({ ...run, name: 'pg', options: { ignoreConnectSpans: true } }),
    traced({ ...run, name: '@thaw/pg', options: { ignoreConnectSpans: true } }),
  ])
  const statements = stock.spans.filter((line) => !line.includes('> pg-pool.connect '))
  expect(difference(wrong.spans, statements).extra.length).toBeGreaterThan(10)
  expect(difference(thaw.spans, statements)).toEqual(NONE)
})

const NONE = { missing: [], extra: [] }

/** Of hundreds of lines, those that tell something. */
function difference(seen: readonly string[], expected: readonly string[]) {
  const without = (some: readonly string[], others: readonly string[]) => {
    const left = [...others]
    return some.filter((line) => !left.includes(line) || !left.splice(left.indexOf(line), 1))
  }
  return { missing: without(expected, seen), extra: without(seen, expected) }
}

function requestOf(line: string): string {
  return line.slice(0, line.indexOf(' > '))
}

const pathOf = (line: string) => line.slice(0, line.indexOf(' {'))
const factsOf = (line: string) => line.slice(line.indexOf(' {'))
