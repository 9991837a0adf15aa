/** A fleet among roles, settings and habits that it did not expect. Each test is a fleet of its own, so that all leases run out at once. */

import { type PostgresServer, sessionsOf, startPostgres, waitForSessions } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openScene, PATIENCE, PATIENT } from '../test/fleet-scene.ts'
import type { Pool } from './index.ts'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres({ settings: { max_connections: 100 } })
  await server.query("create function lead() returns void language sql as 'select pg_advisory_lock(7)'")
  await server.query('create table guests (id int)')
  await server.query('create database walled')
  await server.query('create database shut')
  const shut = new stock.Client({ connectionString: server.url.replace(/postgres$/, 'shut') })
  await shut.connect()
  await shut.query('revoke execute on function pg_terminate_backend from public')
  await shut.end()
  await server.query("create role chief superuser login password 'x' connection limit 2")
  for (const role of ['app', 'watcher', 'signaller', 'ender', 'blind', 'patient'])
    await server.query(`create role ${role} login password 'x'`)
  await server.query('grant pg_read_all_stats to watcher, ender')
  await server.query('grant pg_signal_backend to signaller, ender')
  await server.query('alter role blind set track_activities = off')
  await server.query("alter role patient set idle_session_timeout = '10min'")
})
afterAll(() => server.close())

// At once: what takes time is that each lease has to run out.
describe.concurrent('a fleet', () => {
  describe('the name', () => {
    test.each([
      ['fallback_application_name', { fallback_application_name: 'shop' }],
      ['the options of the server', { options: '-c search_path=public -c application_name=shop' }],
    ])('of the user is kept in front, wherever it is said: %s', { timeout: PATIENT }, async (_where, config) => {
      await using scene = openScene(server)
      await scene.member(config).query('select 1')
      // The first look of a process goes out behind the first statement.
      await vi.waitFor(async () => expect(await scene.names()).toEqual([`shop fleet:${scene.fleet}`]), PATIENCE)
    })

    test('may have odd bytes, of which PostgreSQL makes four each: they are counted, and its session is known', {
      timeout: PATIENT,
    }, async () => {
      await using scene = openScene(server)
      expect(() => scene.member({ application_name: 'é'.repeat(10) })).toThrow(/too long for PostgreSQL by \d+ bytes.*spells each byte/)
      const sleeper = scene.member({ application_name: 'café' })
      await sleeper.query('select 1')
      await scene.asleep(`caf\\xc3\\xa9 fleet:${scene.fleet}`)
      await scene.member({ sessions: 1 }).query('select 1')
      expect(scene.evicted()).toBe(1)
    })
  })

  describe('of what a session has', () => {
    test('an advisory lock is seen by the server, if a function has taken it', { timeout: PATIENT }, async () => {
      await using scene = openScene(server)
      const leader = scene.member()
      await leader.query('select lead()')
      await scene.member().query('select 1')
      await scene.asleep()
      await scene.member({ sessions: 2 }).query('select 1')
      expect(scene.events).toContainEqual({ type: 'evicted', sessions: 1, spared: 1, used: 3, limit: 2 })
      const { rows } = await server.query("select from pg_locks where locktype = 'advisory' and objid = 7 and granted")
      expect(rows).toHaveLength(1)
      await leader.query('select 1')
    })
  })

  describe('the right', () => {
    test.each([
      // It sees who sleeps.
      ['watcher', 'no-right', 0],
      // It might end them, and does not see whether they sleep.
      ['signaller', 'hidden', 0],
      ['ender', undefined, 1],
    ])('of a role that is another one, %s: %s', { timeout: PATIENT }, async (role, trouble, ended) => {
      await using scene = openScene(server)
      await scene.member({}, 'app').query('select 1')
      await scene.asleep()
      await scene.member({ sessions: 1 }, role).query('select 1')
      expect(scene.troubles()).toEqual(trouble ? [trouble] : [])
      expect(scene.evicted()).toBe(ended)
    })

    test("of a superuser is bounded by the server's limit alone: PostgreSQL does not enforce the others on superusers", {
      timeout: PATIENT,
    }, async () => {
      await using scene = openScene(server)
      for (const pool of Array.from({ length: 4 }, () => scene.member({}, 'chief'))) {
        await pool.query('select 1')
        // The first look of a process comes behind the first statement.
        await vi.waitFor(() => expect(pool.stats().fleet).toMatchObject({ looks: 1, limit: 97 }), PATIENCE)
      }
      expect(scene.evicted()).toBe(0)
    })

    test('is of no use where activities are not tracked, and it says so', { timeout: PATIENT }, async () => {
      await using scene = openScene(server)
      const sleeper = scene.member({}, 'blind')
      await sleeper.query('select 1')
      await waitForSessions(server, `fleet:${scene.fleet}`, 1)
      await scene.member({ sessions: 1 }, 'blind').query('select 1')
      expect(scene.troubles()).toEqual(['hidden'])
      await sleeper.query('select 1')
    })
  })

  test('a server that lacks a function that it needs is told of once, and all goes on without it', { timeout: PATIENT }, async () => {
    await server.query('create database other_engine')
    const admin = new stock.Client({ connectionString: server.url.replace(/postgres$/, 'other_engine') })
    await admin.connect()
    await admin.query('set allow_system_table_mods = on')
    await admin.query('alter function pg_stat_get_activity(int) rename to no_such_function')
    await admin.end()
    await using scene = openScene(server)
    const pools = [scene.member({}, 'app', 'other_engine'), scene.member({}, 'app', 'other_engine')]
    for (const pool of pools) {
      for (let i = 0; i < 3; i++) expect((await pool.query('select $1::int as i', [i])).rows).toEqual([{ i }])
      const client = await pool.connect()
      await client.query('select 1')
      client.release()
      expect(pool.stats()).toMatchObject({ connected: 1, fleetTrouble: 1, fleet: { looks: 0 } })
    }
    expect(scene.events).toContainEqual({ type: 'fleetTrouble', reason: 'no-function', code: '42883' })
  })

  describe('the time after which a session ends by itself', () => {
    const timeout = async (on: Pick<Pool, 'query'>) => (await on.query('show idle_session_timeout')).rows[0].idle_session_timeout

    test.each([
      ['postgres', '0'],
      // Functions that use a database with a long one are those that let it sleep.
      ['patient', '10min'],
    ])("is three seconds with keep: 0, and the role's own while a caller has it: %s", { timeout: PATIENT }, async (role, own) => {
      await using scene = openScene(server)
      const pool = scene.member({ keep: 0 }, role)
      await pool.query('select 1')
      expect(await timeout(pool)).toBe('3s')
      const client = await pool.connect()
      expect(await timeout(client)).toBe(own)
      client.release()
    })

    test('is three seconds with keep: 0 for a role that may not look, too', { timeout: PATIENT }, async () => {
      await using scene = openScene(server)
      const pool = scene.member({ keep: 0 }, 'app', 'shut')
      await pool.query('select 1')
      await vi.waitFor(() => expect(scene.troubles()).toEqual(['no-right']), PATIENCE)
      for (let i = 0; i < 2; i++) {
        await vi.waitFor(async () => expect(await timeout(pool)).toBe('3s'), PATIENCE)
        const client = await pool.connect()
        expect(await timeout(client)).toBe('0')
        client.release()
      }
    })

    test.each([
      ['postgres', '0'],
      ['patient', '10min'],
    ])(
      "is a minute where there is room, for others may come while its process is frozen; and the role's own while a caller has it: %s",
      {
        timeout: PATIENT,
      },
      async (role, own) => {
        await using scene = openScene(server)
        const pool = scene.member({}, role)
        await pool.query('select 1')
        for (let i = 0; i < 2; i++) {
          await vi.waitFor(async () => expect(await timeout(pool)).toBe('1min'), PATIENCE)
          const client = await pool.connect()
          expect(await timeout(client)).toBe(own)
          client.release()
        }
        expect(pool.stats()).toMatchObject({ connected: 1 })
      },
    )

    test('is the lease on a crowded server, where no session could be ended', { timeout: PATIENT }, async () => {
      await using scene = openScene(server)
      const pool = scene.member({ sessions: 1 }, 'patient')
      await pool.query('select 1')
      expect(await timeout(pool)).toBe('1500ms')
      const client = await pool.connect()
      expect(await timeout(client)).toBe('10min')
      client.release()
    })

    test('does not follow from the sessions of the fleet in another database, of which it may end none', { timeout: PATIENT }, async () => {
      await using scene = openScene(server)
      for (let i = 0; i < 3; i++) await scene.member({ sessions: 3 }, 'app', 'walled').query('select 1')
      const pool = scene.member({ sessions: 3 }, 'app')
      await pool.query('select 1')
      await vi.waitFor(async () => expect(await timeout(pool)).toBe('1min'), PATIENCE)
      expect(pool.stats().fleet).toMatchObject({ used: 1, limit: 3 })
    })

    test("is the role's own for a caller who comes before the answer to the look, too", { timeout: PATIENT }, async () => {
      await using scene = openScene(server)
      const pool = scene.member({ keep: 0 })
      // Behind the first statement, or behind a transaction: the look is on its way.
      await pool.query('select 1')
      for (let i = 0; i < 2; i++) {
        const client = await pool.connect()
        await client.query('select 1')
        expect(await timeout(client)).toBe('0')
        client.release()
      }
    })

    test.each([0, undefined])("is the user's own if that is shorter, with keep: %s", { timeout: PATIENT }, async (keep) => {
      await using scene = openScene(server)
      const pool = scene.member({ ...(keep === 0 && { keep }), options: '-c idle_session_timeout=2s' })
      await pool.query('select 1')
      expect(await timeout(pool)).toBe('2s')
      const client = await pool.connect()
      client.release()
      expect(await timeout(pool)).toBe('2s')
    })
  })

  describe('an eviction', () => {
    test("is no error of the pool, on which node-postgres' own example ends the process; and casts no doubt on others", {
      timeout: PATIENT,
    }, async () => {
      await using scene = openScene(server)
      const pool = scene.member({ max: 2 })
      const errors: Error[] = []
      pool.on('error', (error) => errors.push(error))
      const [first, second] = [await pool.connect(), await pool.connect()]
      await first.query('select 1')
      await second.query('select 1')
      first.release()
      await waitForSessions(server, `fleet:${scene.fleet}`, 1)
      await scene.asleep()
      await scene.member({ sessions: 1 }).query('select 1')
      await vi.waitFor(() => expect(pool.totalCount).toBe(1), PATIENCE)
      expect(scene.events).toContainEqual(expect.objectContaining({ type: 'stale', reason: 'broken', code: '57P01' }))
      expect(errors).toEqual([])
      // The end of a session that is spared is one.
      await second.query("set search_path to 'x'")
      second.release()
      const [spared] = await sessionsOf(server, `fleet:${scene.fleet}*`)
      await server.query('select pg_terminate_backend($1)', [spared?.pid])
      await vi.waitFor(() => expect(errors).toHaveLength(1), PATIENCE)
      expect(errors[0]).toMatchObject({ code: '57P01' })
    })
  })

  describe('what may fail', () => {
    test('is the lock that proves that no member ends the session: then nothing is sent on it', { timeout: PATIENT }, async () => {
      await using scene = openScene(server)
      const pool = scene.member({ lock_timeout: 50 })
      await pool.query('select 1')
      const [old] = await sessionsOf(server, `fleet:${scene.fleet}`)
      await scene.asleep()
      // As a member that has claimed the session, and is about to end it.
      const evictor = new stock.Client({ connectionString: server.url })
      await evictor.connect()
      await evictor.query('begin')
      await evictor.query('select pg_advisory_xact_lock(1952997751, $1)', [old?.pid])
      const { rows } = await pool.query('insert into guests values (1) returning pg_backend_pid() as pid')
      expect(rows[0].pid).not.toBe(old?.pid)
      const client = await pool.connect()
      client.release()
      await evictor.end()
      expect(scene.troubles()).toEqual(['failed'])
    })

    test('is a new name, or a look: the session is known by the one that it has, and a client is spared again', {
      timeout: PATIENT,
    }, async () => {
      const admin = new stock.Client({ connectionString: server.url.replace(/postgres$/, 'walled') })
      await admin.connect()
      await using scene = openScene(server)
      const renaming = scene.member({}, 'app', 'walled')
      await renaming.query('select 1')
      // Its second look is due when the lease is over.
      const looking = scene.member({ sessions: 1 }, 'app', 'walled')
      await looking.query('select 1')
      await admin.query('revoke execute on function set_config from public')
      const client = await renaming.connect()
      await vi.waitFor(() => expect(scene.troubles()).toEqual(['no-right']), PATIENCE)
      expect(await scene.names()).toContain(`fleet:${scene.fleet}`)
      await admin.query('grant execute on function set_config to public')
      await client.query('select 1')
      expect((await scene.names()).filter((name) => name.endsWith('*'))).toHaveLength(1)

      await admin.query('revoke execute on function pg_terminate_backend from public')
      await vi.waitFor(async () => {
        await looking.query('select 1')
        expect(scene.troubles()).toHaveLength(2)
      }, PATIENCE)
      const other = await looking.connect()
      await vi.waitFor(async () => expect((await scene.names()).filter((name) => name.endsWith('*'))).toHaveLength(2), PATIENCE)
      client.release()
      other.release()
      await admin.end()
    })
  })
})

test('on Workers it is refused, with what to use instead', async () => {
  vi.stubGlobal('WebSocketPair', class {})
  vi.resetModules()
  const workers = await import('./index.ts')
  vi.unstubAllGlobals()
  const options = { connectionString: server.url, fleet: 'orders' }
  expect(() => new workers.Pool(options)).toThrow(/"fleet" does not work on Cloudflare Workers.*Use Hyperdrive/)
})
