/** Requests that were saved by `pool.transaction()`, `once`, a batch or a key are told of like those that `pool.query()` saved, and what was resolved is not called unknown. */

import { context } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { Pool as NeonPool, neonConfig } from '@thaw/neon'
import { observe } from '@thaw/otel'
import { logTo, Pool } from '@thaw/pg'
import { type FaultProxy, type Neon, type PostgresServer, startFaultProxy, startNeon, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

class Reader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}
}

const INSERT = 'INSERT INTO orders VALUES (1)'
const RETRIED = /^thaw\.retried: a transaction was retried(?: \(\w+\))?$/
const RESOLVED = /^thaw\.resolved: a statement \(\w+\) lost its connection(?: \(\w+\))?, and was found to have been executed$/

let server: PostgresServer
let proxy: FaultProxy
let neon: Neon
let proxies: Record<'pg' | 'neon', Pick<FaultProxy, 'loseNextAnswer' | 'loseNextRequest'>>

beforeAll(async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  server = await startPostgres()
  neon = await startNeon()
  proxy = await startFaultProxy(server)
  proxies = { pg: proxy, neon: neon.compute }
  Object.assign(neonConfig, neon.driver)
  for (const one of [newPool('pg'), newPool('neon')]) {
    await one.query('CREATE TABLE orders (id int)')
    await one.createIdempotencyTable()
    await one.end()
  }
})
afterAll(async () => {
  await proxy.close()
  await Promise.all([server.close(), neon[Symbol.asyncDispose]()])
})

function newPool(name: 'pg' | 'neon'): Pool {
  // The two have the same methods.
  if (name === 'neon') return new NeonPool({ connectionString: neon.url, max: 2 }) as unknown as Pool
  return new Pool({ connectionString: proxy.urlFor(server.url), max: 2 })
}

/** What the tools are told while the request runs. */
async function told(name: 'pg' | 'neon', request: (pool: Pool) => Promise<unknown>) {
  const exporter = new InMemorySpanExporter()
  const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).getTracer('test')
  const reader = new Reader()
  const meterProvider = new MeterProvider({ readers: [reader] })
  const pool = newPool(name)
  const warnings: string[] = []
  await pool.transaction((client) => client.query(INSERT))
  observe(pool, { meterProvider })
  pool.subscribe(logTo({ info() {}, warn: (line) => warnings.push(line) }))
  await tracer.startActiveSpan('request', async (span) => {
    await request(pool).finally(() => span.end())
  })
  const { resourceMetrics } = await reader.collect()
  const metrics = resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics)
  const counts = metrics.filter(({ descriptor }) => descriptor.name.startsWith('thaw.statements'))
  await pool.end()
  await meterProvider.shutdown()
  return {
    events: exporter
      .getFinishedSpans()
      .flatMap(({ events }) => events.map((event) => `${event.name}: ${event.attributes?.['thaw.summary']}`)),
    counts: Object.fromEntries(counts.flatMap((one) => one.dataPoints.map(({ value }) => [one.descriptor.name.slice(16), value]))),
    unknown: warnings.filter((line) => line.includes('is unknown')),
  }
}

describe.each(['pg', 'neon'] as const)('with @thaw/%s', (name) => {
  const losing = (containing: string, work: (pool: Pool) => Promise<unknown>) =>
    told(name, (pool) => {
      proxies[name].loseNextAnswer({ containing })
      return work(pool)
    })

  test.each<[string, (pool: Pool) => Promise<unknown>]>([
    ['a transaction', (pool) => pool.transaction((client) => client.query(INSERT))],
    ['once', (pool) => pool.query({ text: INSERT, once: true })],
    ['a batch with once', (pool) => pool.batch([INSERT, INSERT], { once: true })],
  ])('%s that is run again', async (_name, work) => {
    const { events, counts, unknown } = await losing('BEGIN', work)
    expect(events).toEqual([expect.stringMatching(RETRIED)])
    expect(counts).toEqual({ retried: 1 })
    expect(unknown).toEqual([])
  })

  test('a batch of reads whose answer is lost', async () => {
    const { events, counts, unknown } = await told(name, (pool) => {
      proxies[name].loseNextAnswer({ containing: 'count(*)' })
      return pool.batch(['SELECT count(*) FROM orders', 'SELECT count(*) FROM orders'])
    })
    expect(events).toEqual([expect.stringMatching(RETRIED)])
    expect(counts).toEqual({ retried: 1 })
    expect(unknown).toEqual([])
  })

  test('a key whose write was stored, and its answer lost', async () => {
    const { events, counts, unknown } = await losing('INSERT', (pool) => pool.query({ text: INSERT, idempotencyKey: crypto.randomUUID() }))
    expect(events).toEqual([expect.stringMatching(RESOLVED)])
    expect(counts).toEqual({})
    expect(unknown).toEqual([])
  })

  test('a COMMIT whose answer is lost', async () => {
    const { events, counts, unknown } = await told(name, (pool) =>
      pool.transaction(async (client) => {
        await client.query(INSERT)
        proxies[name].loseNextAnswer({ containing: 'COMMIT' })
      }),
    )
    expect(events).toEqual([expect.stringMatching(RESOLVED)])
    expect(counts).toEqual({})
    expect(unknown).toEqual([])
  })

  test('a COMMIT that never arrived', async () => {
    const { events, counts, unknown } = await told(name, (pool) => {
      let tries = 0
      return pool.transaction(async (client) => {
        await client.query(INSERT)
        if (++tries === 1) proxies[name].loseNextRequest({ containing: 'COMMIT' })
      })
    })
    expect(events).toEqual([expect.stringMatching(RETRIED)])
    expect(counts).toEqual({ retried: 1 })
    expect(unknown).toEqual([])
  })
})
