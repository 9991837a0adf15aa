/** What Thaw promises behind any pooler: the same for the emulator and for PgBouncer. */

import assert from 'node:assert/strict'
import type { ThawEvent } from '@thaw/core'
import { Pool, type PoolConfig } from '@thaw/pg'
import { createStoppableClock, type FaultProxy, type PostgresServer, startFaultProxy } from '@thaw/testkit'
import pg from 'pg'

/** A pooler, as these promises need it. */
export interface AnyPooler {
  readonly host: string
  readonly port: number
  urlFor(url: string): string
}

export interface Scene extends AsyncDisposable {
  readonly pool: Pool
  readonly proxy: FaultProxy
  readonly events: readonly ThawEvent[]
  /** Longer than any trust, shorter than any idle limit. */
  fallSilent(): void
}

export async function open(pooler: AnyPooler, server: PostgresServer, config: PoolConfig = {}): Promise<Scene> {
  const proxy = await startFaultProxy(pooler)
  const clock = createStoppableClock()
  const events: ThawEvent[] = []
  const pool = new Pool({ connectionString: proxy.urlFor(server.url), max: 3, idleTimeoutMillis: 0, clock, ...config })
  pool.subscribe((event) => events.push(event))
  return {
    pool,
    proxy,
    events,
    fallSilent: () => clock.addWall(1000),
    async [Symbol.asyncDispose]() {
      await pool.end({ timeoutMillis: 1000 })
      await proxy.close()
    },
  }
}

const ways = (events: readonly ThawEvent[]) => events.flatMap((event) => (event.type === 'acquired' ? event.how : []))

export type Kept = (pooler: AnyPooler, server: PostgresServer) => Promise<void>

/** Each by its name. */
export const PROMISES: Readonly<Record<string, Kept>> = {
  async 'a probe is answered'(pooler, server) {
    await using scene = await open(pooler, server, { hedge: false })
    await scene.pool.query('select 1')
    scene.fallSilent()
    const client = await scene.pool.connect()
    assert.deepEqual((await client.query('select 7 as n')).rows, [{ n: 7 }])
    client.release()
    assert.deepEqual(ways(scene.events), ['new', 'probed'])
  },

  async 'a piggybacked probe is answered, in its own round trip, whatever it is sent with'(pooler, server) {
    await using scene = await open(pooler, server, { max: 1, hedge: false })
    await scene.pool.query('select 1')
    for (const query of ['select 7 as n', { text: 'select $1::int as n', values: [7] }, { name: 'seven', text: 'select 7 as n' }]) {
      scene.fallSilent()
      const { roundTrips } = scene.proxy.counters
      assert.deepEqual((await scene.pool.query(query as pg.QueryConfig)).rows, [{ n: 7 }])
      assert.equal(scene.proxy.counters.roundTrips - roundTrips, 1)
    }
    scene.fallSilent()
    await assert.rejects(scene.pool.query('select 1 / (n - n) from generate_series(1, 1) n'), { code: '22012' })
    assert.deepEqual(ways(scene.events), ['new', 'piggybacked', 'piggybacked', 'piggybacked', 'piggybacked'])
  },

  async 'a hedge serves beside a flow that was dropped'(pooler, server) {
    for (const ask of ['query', 'connect'] as const) {
      await using scene = await open(pooler, server, { max: 1, probeTimeoutMillis: 60_000 })
      await scene.pool.query('select 1')
      scene.fallSilent()
      assert.equal(scene.proxy.cut('drop'), 1)
      const client = ask === 'connect' ? await scene.pool.connect() : undefined
      assert.deepEqual((await (client ?? scene.pool).query('select 7 as n')).rows, [{ n: 7 }])
      client?.release()
      assert.equal(scene.events.filter((event) => event.type === 'connected' && event.hedge).length, 1)
      scene.proxy.cut('rst')
    }
  },

  async 'a pooler that is busy is not taken for dead: no connection is given up, and at most one is made'(pooler, server) {
    await using scene = await open(pooler, server, { probeTimeoutMillis: 10_000 })
    const clients = await Promise.all([scene.pool.connect(), scene.pool.connect(), scene.pool.connect()])
    for (const client of clients) client.release()
    const busy = new pg.Client(pooler.urlFor(server.url))
    await busy.connect()
    scene.fallSilent()
    const flows = scene.proxy.counters.flowsOpened
    // Longer than any hedge delay, shorter than the hard stop.
    const sleeps = busy.query('select pg_sleep(0.6)')
    const reads = Array.from({ length: 4 }, (_, n) => scene.pool.query('select $1::int as n', [n]))
    const taken = await scene.pool.connect()
    await taken.query('select 1')
    taken.release()
    const answers = await Promise.all(reads)
    await sleeps
    await busy.end()
    assert.deepEqual(
      answers.map(({ rows }) => rows),
      [0, 1, 2, 3].map((n) => [{ n }]),
    )
    assert.equal(scene.pool.stats().stale, 0)
    assert.ok(scene.proxy.counters.flowsOpened - flows <= 1)
  },

  async 'a fleet is switched off, says so once, and loses nothing'(pooler, server) {
    await using scene = await open(pooler, server, { max: 2, fleet: 'orders' })
    for (let n = 0; n < 5; n++) assert.deepEqual((await scene.pool.query('select $1::int as n', [n])).rows, [{ n }])
    const client = await scene.pool.connect()
    await client.query('begin')
    await client.query('commit')
    client.release()
    scene.fallSilent()
    await scene.pool.query('select 1')
    const troubles = scene.events.flatMap((event) => (event.type === 'fleetTrouble' ? [event.reason] : []))
    assert.deepEqual(troubles, ['pooler'])
    assert.deepEqual(
      { ...scene.pool.stats().fleet, stale: scene.pool.stats().stale },
      { looks: 0, evicted: 0, yielded: 0, spared: 0, used: 0, limit: 0, stale: 0 },
    )
  },
}
