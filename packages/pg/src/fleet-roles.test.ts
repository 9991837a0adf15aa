/** A fleet of roles that act as others: which sessions its members see, and may end. */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openScene, PATIENCE, PATIENT } from '../test/fleet-scene.ts'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
  await server.query("create role chief superuser login password 'x'")
  for (const role of ['web', 'deputy', 'actor']) await server.query(`create role ${role} login password 'x'`)
  await server.query('create role app; create role reader')
  await server.query('grant app, reader to web, actor')
  await server.query('grant pg_read_all_stats to reader, deputy')
  await server.query('grant chief to deputy')
  await server.query('alter role actor set role = app')
})
afterAll(() => server.close())

// At once: what takes time is that each lease has to run out.
describe.concurrent('a role', () => {
  test("that is a member of a superuser may not end the superuser's sessions: it says so once, and ends the others", {
    timeout: PATIENT,
  }, async () => {
    await using scene = openScene(server)
    await scene.member({}, 'chief').query('select 1')
    await scene.member({}, 'deputy').query('select 1')
    await scene.asleep()
    const looking = scene.member({ sessions: 2 }, 'deputy')
    await looking.query('select 1')
    await vi.waitFor(() => expect(scene.evicted()).toBe(1), PATIENCE)
    expect(looking.stats()).toMatchObject({ fleetTrouble: 1, fleet: { looks: 1 } })
    expect(new Set(scene.troubles())).toEqual(new Set(['no-right']))
  })

  test.each([
    ['by an option', 'web', { options: '-c role=app' }, 'app'],
    ['by an option, which may see all sessions', 'web', { options: '-c role=reader' }, 'reader'],
    ['by a setting of its own', 'actor', {}, 'app'],
  ])(
    'that acts as another, %s, ends its own sessions, and goes on as the other',
    { timeout: PATIENT },
    async (_how, role, config, acting) => {
      await using scene = openScene(server)
      await scene.member(config, role).query('select 1')
      await scene.asleep()
      const looking = scene.member({ ...config, sessions: 1 }, role)
      for (let i = 0; i < 2; i++) expect((await looking.query('select current_user as acting')).rows).toEqual([{ acting }])
      await vi.waitFor(() => expect(scene.evicted()).toBe(1), PATIENCE)
      expect(scene.troubles()).toEqual([])
      expect((await looking.query('select current_user as acting')).rows).toEqual([{ acting }])
    },
  )
})

test('that may not ask for the lock that proves a session keeps its connection: its sessions are spared', {
  timeout: PATIENT,
}, async () => {
  await using scene = openScene(server)
  await server.query('revoke execute on function pg_advisory_xact_lock_shared(int, int) from public')
  try {
    const pool = scene.member({}, 'web')
    for (let i = 0; i < 4; i++) {
      await pool.query('select 1')
      const client = await pool.connect()
      await client.query('select 1').finally(() => client.release())
      // Longer than the trust.
      const since = performance.now()
      await vi.waitFor(() => expect(performance.now() - since).toBeGreaterThan(600), PATIENCE)
    }
    // The first, and the one that took its place.
    expect(pool.stats()).toMatchObject({ connected: 2, fleetTrouble: 1 })
    expect(scene.troubles()).toEqual(['no-right'])
  } finally {
    await server.query('grant execute on function pg_advisory_xact_lock_shared(int, int) to public')
  }
})
