/** What a listener of `connect` does, in a fleet: it does it on each new connection, so a session may be ended although it did. */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
import type { PoolClient } from 'pg'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { openScene, PATIENCE, PATIENT } from '../test/fleet-scene.ts'

let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())

const PATH = "set search_path = 'public'"
const ZONE = "set timezone = 'UTC'"
const NAME = "set application_name = 'svc'"
const awaiting =
  (...texts: string[]) =>
  async (client: PoolClient) => {
    for (const text of texts) await client.query(text)
  }

describe('a session', () => {
  test.each<[string, (client: PoolClient) => unknown, front?: string]>([
    ['that awaits two statements', awaiting(PATH, ZONE)],
    ['that changes the name after an await', awaiting(PATH, NAME), 'svc '],
    ['that sends the second in a callback', (client) => client.query(PATH, () => client.query(ZONE, () => {}))],
    ['that sends a moment later', (client) => void setImmediate(() => void client.query(ZONE))],
  ])('may rest beside a listener %s', { timeout: PATIENT }, async (_how, listener, front = '') => {
    await using scene = openScene(server)
    const pool = scene.member()
    pool.on('connect', listener)
    await pool.query('select 1')
    await vi.waitFor(async () => expect(await scene.names()).toEqual([`${front}fleet:${scene.fleet}`]), PATIENCE)
    // A caller's own counts as ever.
    await pool.query(ZONE)
    await vi.waitFor(async () => expect(await scene.names()).toEqual([`${front}fleet:${scene.fleet}*`]), PATIENCE)
  })

  test.each<[string, (pool: ReturnType<ReturnType<typeof openScene>['member']>) => Promise<unknown>]>([
    ['by pool.query()', (pool) => pool.query(ZONE)],
    [
      'on a client',
      async (pool) => {
        const client = await pool.connect()
        await client.query(ZONE)
        client.release()
      },
    ],
    ['in a batch', (pool) => pool.batch([{ text: 'select 1' }, { text: ZONE }])],
  ])('is spared where a listener uses its own pool as a caller does: %s', { timeout: PATIENT }, async (_how, use) => {
    await using scene = openScene(server)
    const pool = scene.member()
    const used = new Promise((resolve, reject) => pool.once('connect', () => void use(pool).then(resolve, reject)))
    await pool.query('select 1')
    await used
    await vi.waitFor(async () => expect(await scene.names()).toEqual([`fleet:${scene.fleet}*`]), PATIENCE)
  })

  test('is spared if a caller sets something on the client that a late statement of a listener was on', { timeout: PATIENT }, async () => {
    await using scene = openScene(server)
    const pool = scene.member()
    let late: Promise<unknown> | undefined
    pool.once('connect', (client) => setImmediate(() => (late = client.query('select pg_sleep(0.1)'))))
    await (await pool.connect()).release()
    await vi.waitFor(() => expect(late).toBeDefined(), PATIENCE)
    await pool.query(ZONE)
    await late
    await vi.waitFor(async () => expect(await scene.names()).toEqual([`fleet:${scene.fleet}*`]), PATIENCE)
  })
})
