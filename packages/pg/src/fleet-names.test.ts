/** What else is called as a fleet is, or as what it asks PostgreSQL for: by the user's own statements, functions and tables. */

import { type PostgresServer, sessionsOf, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openScene, PATIENCE, PATIENT } from '../test/fleet-scene.ts'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
  await server.query(SHADOWS)
})
afterAll(() => server.close())

/** In front of pg_catalog, where the user's search_path says so. */
const SHADOWS = `
create schema shadow;
create table shadow.pg_stat_activity (pid int);
create domain shadow.float8 as pg_catalog.text;
create function shadow.set_config(text, text, boolean) returns text language sql as 'select $2';
create function shadow.current_setting(text, boolean) returns text language sql as 'select null::text';
create function shadow.clock_timestamp() returns timestamptz language sql as 'select timestamptz ''-infinity''';
create function shadow.right(text, int) returns text language sql as 'select $1';
create function shadow.pg_backend_pid() returns int language sql as 'select 0';
create function shadow.pg_advisory_xact_lock_shared(int, int) returns void language sql as 'select';
create function shadow.pg_try_advisory_xact_lock(int, int) returns boolean language sql as 'select false';
`

// At once: what takes time is that each lease has to run out.
describe.concurrent('a fleet', () => {
  describe('a name that the user changes', () => {
    test('is kept in front, and the session is counted and spared', { timeout: PATIENT }, async () => {
      await using scene = openScene(server)
      const client = await scene.member().connect()
      await client.query("set application_name = 'report'")
      await vi.waitFor(async () => expect(await scene.names()).toEqual([`report fleet:${scene.fleet}*`]), PATIENCE)
      client.release()
      const looking = scene.member({ sessions: 9 })
      await looking.query('select 1')
      await vi.waitFor(() => expect(looking.stats().fleet).toMatchObject({ looks: 1, spared: 1 }), PATIENCE)
      // As it was at the login.
      await client.query('reset application_name')
      await client.query('select 1')
      expect(await scene.names()).toContain(`fleet:${scene.fleet}*`)
    })

    test('for a transaction only makes no difference afterwards', { timeout: PATIENT }, async () => {
      await using scene = openScene(server)
      const pool = scene.member()
      const client = await pool.connect()
      await client.query('begin')
      await client.query("set local application_name = 'report'")
      await client.query('commit')
      await client.query('select 1')
      client.release()
      await vi.waitFor(async () => expect(await scene.names()).toEqual([`fleet:${scene.fleet}`]), PATIENCE)
    })

    test('in a function, which no lexer sees, spares the session from then on', { timeout: PATIENT }, async () => {
      await using scene = openScene(server)
      const pool = scene.member()
      await pool.query("select set_config('application_name', 'report', false)")
      await vi.waitFor(async () => expect(await scene.names()).toEqual([`report fleet:${scene.fleet}*`]), PATIENCE)
      expect((await pool.query("select current_setting('application_name') as name")).rows).toEqual([
        { name: `report fleet:${scene.fleet}*` },
      ])
    })

    test("in a listener of connect is done again on each new connection: the session may rest, with the user's name in front", {
      timeout: PATIENT,
    }, async () => {
      await using scene = openScene(server)
      const pools = [scene.member(), scene.member()]
      for (const pool of pools) {
        pool.on('connect', (client) => {
          client.query("set search_path = 'public'")
          client.query("set application_name = 'svc'")
        })
        await pool.query('select 1')
      }
      const resting = `svc fleet:${scene.fleet}`
      await vi.waitFor(async () => expect(await scene.names()).toEqual([resting, resting]), PATIENCE)
      await pools[0]?.query("select set_config('application_name', 'mine', false)")
      await vi.waitFor(async () => expect(await scene.names()).toContain(`mine fleet:${scene.fleet}*`), PATIENCE)
    })

    test.each(['', 'report '])(
      'back to one that it has read while the session rested is not left so, for a caller has it: "%s"',
      {
        timeout: PATIENT,
      },
      async (front) => {
        await using scene = openScene(server)
        const pool = scene.member()
        await pool.query('select 1')
        const client = await pool.connect()
        await client.query("set application_name = 'other'")
        await client.query("select set_config('application_name', $1, false)", [`${front}fleet:${scene.fleet}`])
        await vi.waitFor(async () => expect(await scene.names()).toEqual([`${front}fleet:${scene.fleet}*`]), PATIENCE)
        client.release()
      },
    )

    test('by appending to it does not repeat the name of the fleet', { timeout: PATIENT }, async () => {
      await using scene = openScene(server)
      const pool = scene.member()
      for (const letter of 'ab')
        await pool.query("select set_config('application_name', current_setting('application_name') || $1, false)", [` ${letter}`])
      await vi.waitFor(async () => expect(await scene.names()).toEqual([`a b fleet:${scene.fleet}*`]), PATIENCE)
    })

    test('to one with which that of the fleet does not fit is left alone, and told of once', { timeout: PATIENT }, async () => {
      await using scene = openScene(server)
      const pool = scene.member()
      for (const letter of 'ab') await pool.query(`set application_name = '${letter.repeat(60)}'`)
      expect((await pool.query('show application_name')).rows).toEqual([{ application_name: 'b'.repeat(60) }])
      expect(scene.troubles()).toEqual(['name'])
    })
  })

  test("is not deceived by functions and tables of the user's that have the names of PostgreSQL's", { timeout: PATIENT }, async () => {
    await using scene = openScene(server)
    await scene.member().query('select 1')
    await scene.asleep()
    const options = '-c search_path=shadow,pg_catalog'
    const looking = scene.member({ sessions: 1, options })
    await looking.query('select 1')
    await vi.waitFor(() => expect(scene.evicted()).toBe(1), PATIENCE)
    expect(await scene.names()).toEqual([`fleet:${scene.fleet}`])
    await looking.end()
    // And a proof is one: the lock is the one that members take.
    const shadowed = scene.member({ options })
    await shadowed.query('select 1')
    await vi.waitFor(() => expect(shadowed.stats().fleet).toMatchObject({ looks: 1 }), PATIENCE)
    const [session] = await sessionsOf(server, `fleet:${scene.fleet}`)
    await scene.asleep()
    const evictor = new stock.Client({ connectionString: server.url })
    await evictor.connect()
    await evictor.query('begin')
    await evictor.query('select pg_advisory_xact_lock(1952997751, $1)', [session?.pid])
    const answer = shadowed.query('select 1')
    await vi.waitFor(async () => {
      const { rowCount } = await server.query("select from pg_stat_activity where pid = $1 and wait_event = 'advisory'", [session?.pid])
      expect(rowCount).toBe(1)
    }, PATIENCE)
    await evictor.end()
    await answer
  })
})
