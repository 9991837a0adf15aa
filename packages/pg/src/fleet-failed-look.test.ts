/** A look that is cancelled, or too late for the user's `statement_timeout`. */

import { startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { expect, test, vi } from 'vitest'
import { openScene, PATIENCE, PATIENT } from '../test/fleet-scene.ts'

test('goes out again a while later, and its session rests meanwhile', { timeout: PATIENT }, async () => {
  await using server = await startPostgres()
  const locker = new stock.Client({ connectionString: server.url })
  await locker.connect()
  await using scene = openScene(server)
  // The look needs to see the roles, the statement does not.
  const onConnect = async () => {
    await locker.query('begin')
    await locker.query('lock table pg_catalog.pg_authid in access exclusive mode')
  }
  const pool = scene.member({ options: '-c statement_timeout=500', onConnect })
  await pool.query('select 1')
  await vi.waitFor(() => expect(scene.troubles()).toEqual(['failed']), PATIENCE)
  await locker.query('rollback')
  await locker.end()
  await vi.waitFor(async () => expect(await scene.names()).toEqual([`fleet:${scene.fleet}`]), PATIENCE)
  await vi.waitFor(async () => {
    await pool.query('select 1')
    expect(pool.stats()).toMatchObject({ connected: 1, fleet: { looks: 1 } })
  }, PATIENCE)
})
