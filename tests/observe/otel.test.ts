/** `observe()` of `@thaw/otel`, with OpenTelemetry's own SDK, on real PostgreSQL. */

import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { context, metrics } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { MeterProvider, MetricReader } from '@opentelemetry/sdk-metrics'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { Pool as NeonPool, neonConfig } from '@thaw/neon'
import { observe } from '@thaw/otel'
import { Pool, type PoolConfig } from '@thaw/pg'
import { createStoppableClock, type FaultProxy, type PostgresServer, startFaultProxy, startNeon, startPostgres } from '@thaw/testkit'
import { withThaw } from '@thaw/vercel'
import pg from 'pg'
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest'
import { ROOT } from '../house/repository.ts'

/** Long enough for the proxy to take it for a request. */
const READ = 'select count(*) from orders where id > 0'

class Reader extends MetricReader {
  protected override async onShutdown(): Promise<void> {}
  protected override async onForceFlush(): Promise<void> {}

  /** Each point: the metric, its attributes but the pool's name, and the value, or how often and how much. */
  async read(pool: string): Promise<Record<string, number | { count: number; sum: number }>> {
    const { resourceMetrics } = await this.collect()
    const points: Record<string, number | { count: number; sum: number }> = {}
    for (const { descriptor, dataPoints } of resourceMetrics.scopeMetrics.flatMap((scope) => scope.metrics)) {
      for (const { attributes, value } of dataPoints) {
        const { 'db.client.connection.pool.name': name, ...rest } = attributes
        const key = [descriptor.name, ...Object.values(rest)].join(' ')
        if (name === pool) points[key] = typeof value === 'number' ? value : { count: value.count, sum: Number(value.sum) }
      }
    }
    return points
  }
}

let server: PostgresServer
let proxy: FaultProxy
const undo: (() => unknown)[] = []

beforeAll(async () => {
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
  server = await startPostgres()
  proxy = await startFaultProxy(server)
  await server.query('create table orders (id int)')
})
afterEach(async () => {
  for (const one of undo.splice(0).reverse()) await one()
})
afterAll(async () => {
  await proxy.close()
  await server.close()
})

function newPool(options: PoolConfig = {}): Pool {
  const pool = new Pool({ connectionString: proxy.urlFor(server.url), idleTimeoutMillis: 0, ...options })
  undo.push(() => pool.ended || pool.end({ timeoutMillis: 1000 }))
  return pool
}

function newMeters(): { reader: Reader; meterProvider: MeterProvider } {
  const reader = new Reader()
  const meterProvider = new MeterProvider({ readers: [reader] })
  undo.push(() => meterProvider.shutdown())
  return { reader, meterProvider }
}

test('the metrics of the conventions, of two pools at once', async () => {
  const { reader, meterProvider } = newMeters()
  const first = newPool({ max: 2 })
  const second = newPool({ max: 7, min: 1 })
  observe(first, { meterProvider, name: 'first' })
  observe(second, { meterProvider, name: 'second' })
  const [one, other] = await Promise.all([first.connect(), first.connect()])
  // Only now: opening a connection may take longer on a busy machine.
  Object.assign(first.options, { connectionTimeoutMillis: 100 })
  const third = first.connect().catch(() => 'timed out')
  expect(await reader.read('first')).toMatchObject({
    'db.client.connection.count idle': 0,
    'db.client.connection.count used': 2,
    'db.client.connection.max': 2,
    'db.client.connection.idle.max': 2,
    'db.client.connection.idle.min': 0,
    'db.client.connection.pending_requests': 1,
    'db.client.connection.create_time': { count: 2 },
    'db.client.connection.wait_time': { count: 2 },
  })
  expect(await third).toBe('timed out')
  one.release()
  const waiting = first.query('select pg_sleep(0.02)')
  await waiting
  other.release()
  await second.query('select 1')
  const points = await reader.read('first')
  expect(points).toMatchObject({
    'db.client.connection.count idle': 2,
    'db.client.connection.count used': 0,
    'db.client.connection.pending_requests': 0,
    'db.client.connection.timeouts': 1,
    'db.client.connection.wait_time': { count: 3 },
    'db.client.connection.use_time': { count: 3 },
  })
  const used = points['db.client.connection.use_time'] as { sum: number }
  // In seconds: the first was held for a tenth, while the third waited and timed out.
  expect(used.sum).toBeGreaterThan(0.2)
  expect(used.sum).toBeLessThan(20)
  expect(await reader.read('second')).toMatchObject({
    'db.client.connection.count idle': 1,
    'db.client.connection.max': 7,
    'db.client.connection.idle.min': 1,
    'db.client.connection.create_time': { count: 1 },
  })
})

test('how long a caller waited in the queue', async () => {
  const { reader, meterProvider } = newMeters()
  const pool = newPool({ max: 1 })
  await pool.query('select 1')
  observe(pool, { meterProvider, name: 'queue' })
  await Promise.all([pool.query('select pg_sleep(0.1)'), pool.query('select 1')])
  const { sum, count } = (await reader.read('queue'))['db.client.connection.wait_time'] as { sum: number; count: number }
  expect(count).toBe(2)
  expect(sum).toBeGreaterThan(0.09)
  expect(sum).toBeLessThan(5)
})

test("Thaw's own: a thaw, what it killed, what was sent again, and what is unknown", async () => {
  const { reader, meterProvider } = newMeters()
  const clock = createStoppableClock()
  const pool = newPool({ max: 3, clock })
  for (const client of await Promise.all([1, 2, 3].map(() => pool.connect()))) client.release()
  await pool.query('select 1')
  observe(pool, { meterProvider, name: 'thaw' })
  proxy.cut('rst')
  clock.addWall(6 * 60_000)
  await pool.query('select 1')
  expect(await reader.read('thaw')).toMatchObject({ 'thaw.thaws': 1, 'thaw.connections.dead broken': 3 })
  proxy.loseNextAnswer()
  await pool.query(READ)
  proxy.loseNextAnswer()
  await pool.query('insert into orders values (1)').catch(() => {})
  expect(await reader.read('thaw')).toMatchObject({ 'thaw.statements.retried read': 1, 'thaw.statements.unknown write': 1 })
})

test('the span of the request that came after a thaw, and of one whose statement was sent again', async () => {
  const exporter = new InMemorySpanExporter()
  const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).getTracer('test')
  const request = (name: string, work: () => Promise<unknown>) =>
    tracer.startActiveSpan(name, async (span) => {
      await work()
      span.end()
    })
  const clock = createStoppableClock()
  const pool = newPool({ max: 3, clock })
  // The attempt that opens a connection is still under way when something happens to it.
  const opener = request('opener', async () => {
    for (const client of await Promise.all([1, 2, 3].map(() => pool.connect()))) client.release()
    await pool.query('select 1')
    observe(pool, { name: 'spans', attributes: { team: 'orders' } })
    proxy.cut('rst')
    clock.addWall(6 * 60_000)
    await request('frozen', () => pool.query('select 1'))
    await request('quiet', () => pool.query('select 1'))
    proxy.loseNextAnswer()
    await request('retried', () => pool.query(READ))
    proxy.loseNextAnswer()
    await request('lost', () => pool.query('insert into orders values (1)').catch(() => {}))
  })
  await opener
  const told = exporter.getFinishedSpans().map(({ name, events }) => [name, events.map((event) => [event.name, event.attributes])])
  expect(Object.fromEntries(told)).toEqual({
    opener: [],
    frozen: [
      [
        'thaw.thawed',
        {
          'db.client.connection.pool.name': 'spans',
          team: 'orders',
          'thaw.summary': 'thawed after 6 min: 3 dead, 0 failed',
          'thaw.gap_millis': expect.closeTo(360_000, -5),
          'thaw.dead': 3,
          'thaw.expired': 0,
          'thaw.failed': 0,
        },
      ],
    ],
    quiet: [],
    retried: [
      [
        'thaw.retried',
        expect.objectContaining({
          'thaw.summary': expect.stringMatching(/^a statement \(read\) lost its connection.* and was retried$/),
          'thaw.statement': 'read',
        }),
      ],
    ],
    lost: [],
  })
})

test.each<[name: string, use: (pool: Pool, end: () => void) => unknown]>([
  [
    'in a callback',
    (pool, end) =>
      new Promise<void>((resolve) =>
        pool.query('select 1', () => {
          end()
          resolve()
        }),
      ),
  ],
  [
    'behind the release',
    async (pool, end) => {
      const client = await pool.connect()
      await client.query('select 1')
      client.release()
      end()
    },
  ],
])('the span of the request that came after a thaw, if it ends %s', async (_name, use) => {
  const exporter = new InMemorySpanExporter()
  const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).getTracer('test')
  const clock = createStoppableClock()
  const pool = newPool({ max: 1, clock })
  for (const text of ['select 1', 'select 2']) await pool.query(text)
  observe(pool)
  proxy.cut('rst')
  clock.addWall(6 * 60_000)
  await tracer.startActiveSpan('request', (span) => use(pool, () => span.end()))
  const [span] = exporter.getFinishedSpans()
  expect(span?.events.map(({ attributes }) => attributes?.['thaw.summary'])).toEqual(['thawed after 6 min: 1 dead, 0 failed'])
})

test('what a wrapper knows: the invocation, and whether it was a cold start', async () => {
  const exporter = new InMemorySpanExporter()
  const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).getTracer('test')
  const pool = newPool({ max: 1 })
  observe(pool, { name: 'invocations' })
  const GET = withThaw(async (_request: Request) =>
    tracer.startActiveSpan('GET', async (span) => {
      await pool.query('select 1')
      proxy.loseNextAnswer()
      await pool.query(READ)
      span.end()
      return new Response()
    }),
  )
  await GET(new Request('http://localhost/'))
  await GET(new Request('http://localhost/'))
  const events = exporter.getFinishedSpans().flatMap((span) => span.events.map((event) => event.attributes ?? {}))
  expect(events.map((attributes) => attributes['faas.coldstart'])).toEqual([true, false])
  expect(new Set(events.map((attributes) => attributes['faas.invocation_id'])).size).toBe(2)
})

test('the global meter provider, also if it comes later than the pool', async () => {
  const pool = newPool()
  observe(pool, { name: 'late' })
  const { reader, meterProvider } = newMeters()
  metrics.setGlobalMeterProvider(meterProvider)
  undo.push(() => metrics.disable())
  await pool.query('select 1')
  expect(await reader.read('late')).toMatchObject({
    'db.client.connection.create_time': { count: 1 },
    'db.client.connection.count idle': 1,
  })
})

test('the global meter provider, registered when the pool has long been connected', async () => {
  const pool = newPool()
  await pool.query('select 1')
  observe(pool, { name: 'warm' })
  const { reader, meterProvider } = newMeters()
  metrics.setGlobalMeterProvider(meterProvider)
  undo.push(() => metrics.disable())
  await pool.query('select 1')
  expect(await reader.read('warm')).toMatchObject({
    'db.client.connection.wait_time': { count: 1 },
    'db.client.connection.count idle': 1,
  })
})

test('a pool that is made again has the name of the one before it, and no two pools have one name at once', async () => {
  const { reader, meterProvider } = newMeters()
  for (let made = 0; made < 3; made++) {
    const pool = newPool({ max: 1 })
    observe(pool, { meterProvider, name: 'again' })
    await pool.query('select 1')
    await pool.end()
  }
  expect(await reader.read('again')).toMatchObject({ 'db.client.connection.wait_time': { count: 3 } })
  expect(await reader.read('again (2)')).toEqual({})
  observe(newPool({ max: 1 }), { meterProvider, name: 'again' })
  observe(newPool({ max: 2 }), { meterProvider, name: 'again' })
  expect(await reader.read('again')).toMatchObject({ 'db.client.connection.max': 1 })
  expect(await reader.read('again (2)')).toMatchObject({ 'db.client.connection.max': 2 })
})

test('a pool that has ended is not observed', async () => {
  const { reader, meterProvider } = newMeters()
  const pool = newPool()
  await pool.end()
  observe(pool, { meterProvider, name: 'ended' })
  expect(await reader.read('ended')).toEqual({})
})

test('a pool is observed once, until it ends or is stopped, and pools that share an address get names of their own', async () => {
  const { reader, meterProvider } = newMeters()
  const pool = newPool()
  const other = newPool()
  const stop = observe(pool, { meterProvider })
  expect(observe(pool, { meterProvider })).toBe(stop)
  observe(other, { meterProvider })
  await pool.query('select 1')
  const { host } = new URL(proxy.urlFor(server.url))
  const points = await reader.read(`${host}/postgres`)
  expect(points).toMatchObject({ 'db.client.connection.wait_time': { count: 1 }, 'db.client.connection.count idle': 1 })
  expect(await reader.read(`${host}/postgres (2)`)).toMatchObject({ 'db.client.connection.count idle': 0 })
  stop()
  stop()
  await pool.query('select 1')
  expect(await reader.read(`${host}/postgres`)).toMatchObject({ 'db.client.connection.wait_time': { count: 1 } })
  const ending = vi.spyOn(other, 'stats')
  await other.end()
  await reader.collect()
  expect(ending).not.toHaveBeenCalled()
})

test('measured by two providers, of which the first stops: one span event for each thaw, and none is lost', async () => {
  const exporter = new InMemorySpanExporter()
  const tracer = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).getTracer('test')
  const clock = createStoppableClock()
  const pool = newPool({ clock })
  const stop = observe(pool, { meterProvider: newMeters().meterProvider })
  observe(pool, { meterProvider: newMeters().meterProvider })
  observe(pool, { meterProvider: newMeters().meterProvider, spanEvents: false })
  const eventsOfOneThaw = async () => {
    clock.addWall(6 * 60_000)
    await tracer.startActiveSpan('request', async (span) => {
      await pool.query(READ)
      span.end()
    })
    const spans = exporter.getFinishedSpans().flatMap(({ events }) => events.map((event) => event.name))
    exporter.reset()
    return spans
  }
  await pool.query(READ)
  expect(await eventsOfOneThaw()).toEqual(['thaw.thawed'])
  stop()
  expect(await eventsOfOneThaw()).toEqual(['thaw.thawed'])
})

test('a pool of @thaw/neon', async () => {
  await using neon = await startNeon()
  Object.assign(neonConfig, neon.driver)
  const { reader, meterProvider } = newMeters()
  const pool = new NeonPool({ connectionString: neon.url, max: 4 })
  undo.push(() => pool.end())
  observe(pool, { meterProvider, name: 'neon' })
  await pool.query('select 1')
  expect(await reader.read('neon')).toMatchObject({ 'db.client.connection.max': 4, 'db.client.connection.use_time': { count: 1 } })
})

test('a pool of pg, and meters of another version', async () => {
  const stock = new pg.Pool()
  expect(() => observe(stock as never)).toThrow('observe() received the pool of another package. Import { Pool } from "@thaw/pg"')
  const pool = newPool()
  const old = { getMeter: () => ({ createCounter() {}, createHistogram() {}, createValueObserver() {} }) }
  expect(() => observe(pool, { meterProvider: old as never })).toThrow(
    'whose meters have no createObservableUpDownCounter, no addBatchObservableCallback',
  )
  expect(() => observe(pool, { meterProvider: {} as never })).toThrow('without the method getMeter')
  expect(pool.stats()).toMatchObject({ connected: 0 })
})

test.each(['import("@thaw/otel")', 'Promise.resolve().then(() => require("@thaw/otel"))'])(
  'without @opentelemetry/api, %s says what is missing',
  async (load) => {
    const folder = await mkdtemp(join(tmpdir(), 'thaw-otel-'))
    undo.push(() => rm(folder, { recursive: true }))
    for (const name of ['core', 'otel']) {
      const to = join(folder, 'node_modules/@thaw', name)
      await mkdir(to, { recursive: true })
      for (const part of ['package.json', 'dist']) await cp(join(ROOT, 'packages', name, part), join(to, part), { recursive: true })
    }
    const { stdout } = await promisify(execFile)(process.execPath, ['-e', `${load}.catch(({ message }) => console.log(message))`], {
      cwd: folder,
      env: { PATH: process.env['PATH'] },
    })
    expect(stdout).toMatch(/^Cannot find (package|module) '@opentelemetry\/api'/)
  },
)
