/** Runtimes that share a server without a pooler: what crosses the wire, who is ended, and who is spared. */

import type { ThawEvent } from '@thaw/core'
import { type FaultProxy, type PostgresServer, startFaultProxy, startPooler, startPostgres, waitForSessions } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'
import { Pool, type PoolConfig } from './index.ts'

const PATIENCE = { timeout: 20_000, interval: 20 }
/** The longest idle ones may be ended after 1.5 s. */
const LEASE = "interval '1.5 seconds'"

let server: PostgresServer
let proxy: FaultProxy
let pools: Pool[]
let events: ThawEvent[]

function createPool(config: PoolConfig & { fleet?: unknown } = {}, url = server.url): Pool {
  const pool = new Pool({ connectionString: url, max: 1, idleTimeoutMillis: 0, hedge: false, fleet: 'orders', ...config } as PoolConfig)
  pools.push(pool)
  pool.subscribe((event) => events.push(event))
  return pool
}

interface Named {
  readonly pid: number
  readonly name: string
  readonly state: string
}

async function sessions(): Promise<Named[]> {
  const { rows } = await server.query<Named>(
    `select pid, application_name as name, state from pg_stat_activity
     where backend_type = 'client backend' and application_name <> 'thaw-testkit' order by backend_start`,
  )
  return rows
}
const names = async () => (await sessions()).map(({ name }) => name)

/** Until every session of that name may be ended. */
async function leasesOver(name: string, least = 1): Promise<void> {
  await vi.waitFor(async () => {
    const { rows } = await server.query<{ fresh: string; all: string }>(
      `select count(*) filter (where state_change > clock_timestamp() - ${LEASE})::text as fresh, count(*)::text as all
       from pg_stat_activity where application_name = $1`,
      [name],
    )
    expect(rows[0]?.fresh).toBe('0')
    expect(Number(rows[0]?.all)).toBeGreaterThanOrEqual(least)
  }, PATIENCE)
}

/** And waits until their sessions have gone, too. */
async function endPools(): Promise<void> {
  await Promise.all(pools.splice(0).map((pool) => pool.end({ timeoutMillis: 1000 })))
}

/** At whose address PostgreSQL itself has answered, in this process. */
async function knowAddress(): Promise<void> {
  const pool = createPool({}, proxy.urlFor(server.url))
  await pool.query('select 1')
  await vi.waitFor(() => expect(pool.stats().fleet?.looks).toBe(1), PATIENCE)
  await pool.end()
  pools.splice(pools.indexOf(pool), 1)
  events.splice(0)
}

async function lockOrders(): Promise<AsyncDisposable & { release(): Promise<unknown> }> {
  const client = new stock.Client({ connectionString: server.url })
  await client.connect()
  await client.query('begin')
  await client.query('lock table orders')
  return { release: () => client.query('rollback'), [Symbol.asyncDispose]: () => client.end() }
}

const evicted = () => events.flatMap((event) => (event.type === 'evicted' ? [event] : []))
const troubles = () => events.flatMap((event) => (event.type === 'fleetTrouble' ? [event.reason] : []))

beforeAll(async () => {
  // 17 for everybody, 3 for superusers.
  server = await startPostgres({ settings: { max_connections: 20 } })
  await server.query('create table orders (id int primary key, note text)')
})
beforeEach(async () => {
  proxy = await startFaultProxy(server, { record: true })
  pools = []
  events = []
})
afterEach(async () => {
  await endPools()
  await proxy.close()
  await vi.waitFor(async () => expect(await sessions()).toEqual([]), PATIENCE)
})
afterAll(() => server.close())

describe('the name', () => {
  test("says who belongs together, the user's own in front", async () => {
    await createPool({ application_name: 'shop' }).query('select 1')
    await createPool({}, `${server.url}?application_name=desk`).query('select 1')
    await createPool({ fleet: { name: 'orders', sessions: 10 } }).query('select 1')
    // The first look of a process goes out behind the first statement.
    await vi.waitFor(async () => expect(await names()).toEqual(['shop fleet:orders', 'desk fleet:orders', 'fleet:orders']), PATIENCE)
  })

  test('spares a client in use, and no other', async () => {
    const pool = createPool()
    const client = await pool.connect()
    await expect.poll(names).toEqual(['fleet:orders*'])
    await client.query('select 1')
    await expect.poll(names).toEqual(['fleet:orders*'])
    client.release()
    await waitForSessions(server, 'fleet:orders', 1)
    const again = await pool.connect()
    await again.query('begin')
    await expect.poll(names).toEqual(['fleet:orders*'])
    await again.query('commit')
    again.release()
    await waitForSessions(server, 'fleet:orders', 1)
  })

  test.each(["set search_path to 'x'", 'listen news', 'create temp table t (a int)'])('spares a session with state: %s', async (text) => {
    const pool = createPool()
    await pool.query('select 1')
    await pool.query(text)
    await expect.poll(names).toEqual(['fleet:orders*'])
    await pool.query('select 2')
    await expect.poll(names).toEqual(['fleet:orders*'])
  })
})

describe('the look', () => {
  test.each([
    ['a read', (pool: Pool) => pool.query('select 1 as one')],
    ['with values', (pool: Pool) => pool.query('select $1::int as one', [1])],
    ['named', (pool: Pool) => pool.query({ name: 'mine', text: 'select $1::int as one', values: [1] })],
    ['as arrays', (pool: Pool) => pool.query({ text: 'select 1 as one', rowMode: 'array' })],
    ['an error', (pool: Pool) => pool.query('select 1/0').catch((error) => error.code)],
    [
      'a client of its own',
      (pool: Pool) => pool.connect().then((client) => client.query('select 1 as one').finally(() => client.release())),
    ],
  ])('costs no round trip and changes no answer: %s', async (_what, work) => {
    const plain = new Pool({ connectionString: proxy.urlFor(server.url), max: 1, keepOnSqlError: true })
    const expected = await work(plain)
    const { roundTrips } = proxy.counters
    await plain.end()
    await knowAddress()
    const pool = createPool({ keepOnSqlError: true }, proxy.urlFor(server.url))
    const before = proxy.counters.roundTrips
    const answer = await work(pool)
    expect(proxy.counters.roundTrips - before).toBe(roundTrips)
    expect(JSON.stringify(answer)).toBe(JSON.stringify(expected))
    expect(pool.stats().fleet).toMatchObject({ looks: 1, evicted: 0, limit: 17 })
  })

  test('goes out behind the first statement where PostgreSQL itself has not answered yet, and no caller waits for it', async () => {
    const pool = createPool({}, proxy.urlFor(server.url))
    const client = await pool.connect()
    const before = proxy.counters.roundTrips
    const flow = proxy.flows[0]
    await client.query('select 1')
    const sent = () => (flow?.chunks ?? []).flatMap(({ direction, data }) => (direction === 'to-server' ? data.toString('latin1') : []))
    await vi.waitFor(() => expect(pool.stats().fleet?.looks).toBe(1), PATIENCE)
    expect(proxy.counters.roundTrips - before).toBe(2)
    expect(sent().findIndex((text) => text.includes('select 1'))).toBeLessThan(sent().findIndex((text) => text.includes('pg_terminate')))
    client.release()
  })

  test('behind a pooler that was not known of, it is switched off, and no statement is lost', async () => {
    await using pooler = await startPooler(server)
    const pool = createPool({}, pooler.urlFor(server.url))
    for (let i = 0; i < 5; i++) expect((await pool.query('select $1::int as i', [i])).rows).toEqual([{ i }])
    const client = await pool.connect()
    await client.query('begin')
    await client.query('commit')
    client.release()
    expect(troubles()).toEqual(['pooler'])
    expect(pool.stats().fleet?.looks).toBe(0)
    expect(pooler.bytesDropped).toBe(0)
    await endPools()
  })

  test.each(['auto', true] as const)('gives each of many reads its own rows, with share: %s', async (share) => {
    const pool = createPool({ share }, proxy.urlFor(server.url))
    for (let round = 0; round < 5; round++) {
      const asked = Array.from({ length: 40 }, (_, i) => round * 100 + i)
      const answers = await Promise.all(asked.map((i) => pool.query('select $1::int as i', [i])))
      expect(answers.map(({ rows }) => rows[0].i)).toEqual(asked)
      const client = await pool.connect()
      expect((await client.query('select 1 as one')).rows).toEqual([{ one: 1 }])
      client.release()
    }
    expect(pool.stats()).toMatchObject({ outcome: 0, connected: 1, fleet: { looks: 1 } })
  })

  test('goes out once for a connection', async () => {
    const pool = createPool({}, proxy.urlFor(server.url))
    for (let i = 0; i < 5; i++) await pool.query('select 1')
    expect(pool.stats().fleet?.looks).toBe(1)
    const sent = proxy.flows.flatMap(({ chunks }) =>
      chunks.filter(({ direction }) => direction === 'to-server').map(({ data }) => data.toString('latin1')),
    )
    expect(sent.filter((text) => text.includes('pg_terminate_backend'))).toHaveLength(1)
  })

  test('above three quarters, ends the longest idle ones down to a half', async () => {
    for (let i = 0; i < 12; i++) await createPool().query('select 1')
    expect(evicted()).toEqual([])
    const before = await sessions()
    await leasesOver('fleet:orders', 12)
    await createPool().query('select 1')
    // 13 of 17, and the half of 17 is 8.
    expect(evicted()).toEqual([{ type: 'evicted', sessions: 5, spared: 0, used: 13, limit: 17 }])
    await waitForSessions(server, 'fleet:orders', 8)
    const left = (await sessions()).map(({ pid }) => pid)
    expect(left.slice(0, 7)).toEqual(before.slice(5).map(({ pid }) => pid))
    expect(pools.at(-1)?.stats()).toMatchObject({ evicted: 1, fleet: { evicted: 5, looks: 1, used: 13, limit: 17, spared: 0 } })
    // The member whose session was ended does not notice.
    const answers = await Promise.all(pools.map((pool, i) => pool.query(`insert into orders values (${i}) returning id`)))
    expect(answers.map(({ rows }) => rows[0].id)).toEqual(pools.map((_, i) => i))
    await server.query('truncate orders')
  })

  test('ends no session that is at work, in use, has state, belongs to a stranger, or was awake a moment ago', async () => {
    const strangers = await Promise.all(
      ['shop', 'fleet:orders2', 'xfleet:orders', 'fleet:other'].map(async (application_name) => {
        const client = new stock.Client({ connectionString: server.url, application_name })
        await client.connect()
        return client
      }),
    )
    const holder = await createPool().connect()
    await holder.query('select 1')
    const transaction = await createPool().connect()
    await transaction.query('begin')
    await createPool().query("set search_path to 'x'")
    const working = createPool()
    await working.query('select 1')
    const sleeping = [createPool(), createPool(), createPool()]
    for (const pool of sleeping) await pool.query('select 1')
    await leasesOver('fleet:orders', 4)
    const answer = working.query('select pg_sleep(1)')
    await vi.waitFor(async () => expect((await sessions()).map(({ state }) => state)).toContain('active'), PATIENCE)
    const fresh = createPool()
    await fresh.query('select 1')
    await createPool({ fleet: { name: 'orders', sessions: 4 } }).query('select 1')
    expect(evicted()).toEqual([{ type: 'evicted', sessions: 3, spared: 3, used: 9, limit: 4 }])
    await answer
    await holder.query('select 1')
    await transaction.query('commit')
    for (const stranger of strangers) await stranger.query('select 1')
    holder.release()
    transaction.release()
    for (const stranger of strangers) await stranger.end()
  })

  test.each([
    ['the database', 'alter database small connection limit 4'],
    ['the role', 'alter role small connection limit 4'],
  ])('keeps within the limit of %s', async (_what, limit) => {
    await server.query("create role small login password 'x'")
    await server.query('create database small owner small')
    await server.query(limit)
    const url = `postgres://small:x@${server.host}:${server.port}/small`
    for (let i = 0; i < 3; i++) await createPool({}, url).query('select 1')
    await leasesOver('fleet:orders', 3)
    await createPool({}, url).query('select 1')
    expect(evicted()).toEqual([{ type: 'evicted', sessions: 2, spared: 0, used: 4, limit: 4 }])
    await endPools()
    await vi.waitFor(async () => expect(await sessions()).toEqual([]), PATIENCE)
    await server.query('drop database small')
    await server.query('drop role small')
  })
})

describe('a proof', () => {
  test('that came so late that it may have lain in the socket of a frozen process is none', { timeout: 60_000 }, async () => {
    const pool = createPool({ probeTimeoutMillis: 5000, connectionTimeoutMillis: 60_000 }, proxy.urlFor(server.url))
    await pool.query("insert into orders values (1, 'on the first')")
    const [old] = await sessions()
    proxy.setDelay({ toClientMillis: 900 })
    await leasesOver('fleet:orders')
    await pool.query("insert into orders values (2, 'on another')")
    proxy.setDelay({ toClientMillis: 0 })
    const probes = events.flatMap((event) => (event.type === 'probed' ? [event.alive] : []))
    expect(probes).toEqual([true, true, true, true])
    expect(events).toContainEqual(expect.objectContaining({ type: 'stale', reason: 'unanswered' }))
    expect(pool.stats()).toMatchObject({ outcome: 0, connected: 2 })
    expect((await sessions()).map(({ pid }) => pid)).not.toContain(old?.pid)
    await server.query('truncate orders')
  })

  test('is not asked for inside a transaction, which no member ends: a read that is sent again survives late answers', {
    timeout: 60_000,
  }, async () => {
    await knowAddress()
    const pool = createPool({ connectionTimeoutMillis: 60_000 }, proxy.urlFor(server.url))
    await pool.query('select 1')
    await using other = await lockOrders()
    const answer = pool.query('select count(*)::int as n from orders')
    await vi.waitFor(async () => {
      const { rowCount } = await server.query("select from pg_stat_activity where wait_event_type = 'Lock' and query like '%orders%'")
      expect(rowCount).toBe(1)
    }, PATIENCE)
    // It may not have been a read after all, so it is sent inside READ ONLY; and its BEGIN is answered late.
    pool.subscribe((event) => event.type === 'connected' && proxy.setDelay({ toClientMillis: 900 }))
    proxy.cut('rst')
    await other.release()
    expect((await answer).rows).toEqual([{ n: 0 }])
    expect(pool.stats()).toMatchObject({ connected: 2, outcome: 1 })
  })

  test('asks for the lock of those who end sessions, in its own flight', async () => {
    const pool = createPool({}, proxy.urlFor(server.url))
    await pool.query('select 1')
    const [session] = await sessions()
    await leasesOver('fleet:orders')
    // As a member that has claimed the session, and is about to end it.
    const evictor = new stock.Client({ connectionString: server.url })
    await evictor.connect()
    await evictor.query('begin')
    await evictor.query('select pg_advisory_xact_lock(1952997751, $1)', [session?.pid])
    const { roundTrips } = proxy.counters
    const write = pool.query('insert into orders values (1)')
    await vi.waitFor(async () => {
      const { rowCount } = await server.query("select from pg_stat_activity where pid = $1 and wait_event = 'advisory'", [session?.pid])
      expect(rowCount).toBe(1)
    }, PATIENCE)
    await evictor.query('commit')
    await write
    // The proof's and the statement's own.
    expect(proxy.counters.roundTrips - roundTrips).toBe(2)
    await evictor.end()
    await server.query('truncate orders')
  })
})

describe('where it cannot be', () => {
  test.each([
    ['a role that may end no session', 'revoke execute on function pg_terminate_backend from public', 'no-right'],
    ['a role that may see nothing', 'revoke execute on function pg_stat_get_activity from public', 'no-right'],
  ])('goes on without it, and says so once: %s', async (_what, revoke, reason) => {
    await server.query("create role poor login password 'x'")
    await server.query('grant all on orders to poor')
    await server.query(revoke)
    try {
      const pool = createPool({}, `postgres://poor:x@${server.host}:${server.port}/postgres`)
      for (let i = 0; i < 3; i++) await pool.query('insert into orders values ($1)', [i])
      const client = await pool.connect()
      await client.query('select 1')
      client.release()
      expect(troubles()).toEqual([reason])
      expect(pool.stats()).toMatchObject({ fleetTrouble: 1, connected: 1, fleet: { looks: 0 } })
      // Others may still end its sessions.
      await waitForSessions(server, 'fleet:orders', 1)
    } finally {
      await endPools()
      await server.query('grant execute on function pg_terminate_backend to public')
      await server.query('grant execute on function pg_stat_get_activity to public')
      await server.query('drop owned by poor')
      await server.query('drop role poor')
      await server.query('truncate orders')
    }
  })

  test('sees sessions of other roles, and ends none', async () => {
    await server.query("create role other login password 'x'")
    await createPool().query('select 1')
    await leasesOver('fleet:orders')
    await createPool({ fleet: { name: 'orders', sessions: 2 } }, `postgres://other:x@${server.host}:${server.port}/postgres`).query(
      'select 1',
    )
    expect(troubles()).toEqual(['hidden'])
    expect(evicted()).toEqual([])
    await endPools()
    await server.query('drop role other')
  })

  test('says that more sessions are wanted than there can be, once', async () => {
    for (let i = 0; i < 2; i++) await createPool({ fleet: { name: 'orders', sessions: 1000 } }).query('select 1')
    expect(troubles()).toEqual(['sessions-above-limit', 'sessions-above-limit'])
    expect(pools[0]?.stats().fleet?.limit).toBe(17)
  })
})
