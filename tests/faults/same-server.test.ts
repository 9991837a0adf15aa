/**
 * A server that stays up, about which something looks as if it had not, or which refuses one of Thaw's questions once.
 *
 * What breaks: an administrator, or a monitoring tool, resets statistics, which a crash throws away too; a question of ours is cancelled together with its statement; the end of a batch is refused.
 * With plain `pg` a lost COMMIT is unknown in any case. With Thaw it is stored once, and told so; or, where it could have been a crash, unknown, and never told as not stored.
 */

import { Pool as NeonPool } from '@thaw/neon'
import { OutcomeUnknownError, type Pool } from '@thaw/pg'
import pg from 'pg'
import { beforeEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { failure, INSERT, useSetting } from './setting.ts'

useOneNeon()

const setting = useSetting()

const store = (pool: Pool, token: string) => pool.transaction((client) => client.query(INSERT, [token]))

describe('an answer to COMMIT is lost after statistics were reset', () => {
  /** So that the id of the transaction lies behind the last checkpoint, as after a crash. */
  const reset = async (...kinds: string[]) => {
    await setting.server.query('CHECKPOINT')
    for (const kind of kinds) await setting.server.query('SELECT pg_stat_reset_shared($1)', [kind])
  }

  test.each([[['bgwriter']], [['archiver']], [[]]])('of %j: it is stored once', async (kinds) => {
    const pool = setting.thaw()
    const token = `reset ${kinds}`
    await store(pool, 'before')
    await reset(...kinds)
    for (const write of [() => store(pool, token), () => pool.query({ text: INSERT, values: [token], once: true })]) {
      const lost = setting.proxy.loseNextAnswer({ containing: 'COMMIT' })
      await write()
      await lost.struck
    }
    expect(await setting.rows(token)).toBe(2)
  })

  test('of both, as by a crash: unknown, and not told as not stored', async () => {
    const pool = setting.thaw()
    await store(pool, 'before')
    await reset('bgwriter', 'archiver')
    const lost = setting.proxy.loseNextAnswer({ containing: 'COMMIT' })
    expect(await failure(store(pool, 'all'))).toBeInstanceOf(OutcomeUnknownError)
    await lost.struck
    expect(await setting.rows('all')).toBe(1)
  })
})

test('a question that was cancelled once is asked again: a COMMIT that is lost later is resolved', async () => {
  const pool = setting.thaw()
  const locker = new pg.Client(setting.server.url)
  await locker.connect()
  await locker.query('BEGIN; LOCK TABLE pg_stat_bgwriter')
  const cancelled = pool.transaction((client) =>
    client.query({ text: INSERT, values: ['cancelled'], query_timeout: 300 } as pg.QueryConfig),
  )
  expect(await failure(cancelled)).toMatchObject({ kind: 'deadline' })
  await locker.end()
  await store(pool, 'uncancelled')
  const lost = setting.proxy.loseNextAnswer({ containing: 'COMMIT' })
  await store(pool, 'resolved')
  await lost.struck
  expect([await setting.rows('cancelled'), await setting.rows('resolved')]).toEqual([0, 1])
})

describe.each([
  ['@thaw/pg', () => setting.thaw(), () => setting.server],
  ['@thaw/neon', () => new NeonPool({ connectionString: neon.url }) as unknown as Pool, () => neon.postgres],
])('a batch whose end is refused, on %s', (_driver, create, server) => {
  beforeEach(() => server().query('DROP TABLE IF EXISTS later; CREATE TABLE later (n int UNIQUE DEFERRABLE INITIALLY DEFERRED)'))

  test('by a deferred constraint: it is sent once, and its error comes out', async () => {
    const pool = create()
    // Sequences know how often a row was inserted, whatever was rolled back.
    await server().query('DROP SEQUENCE IF EXISTS sends; CREATE SEQUENCE sends')
    for (const options of [{}, { once: true }, { once: false }]) {
      await server().query('ALTER SEQUENCE sends RESTART')
      const refused = pool.batch(["SELECT nextval('sends')", 'INSERT INTO later VALUES (1), (1)'], options)
      expect(await failure(refused)).toMatchObject({ code: '23505' })
      expect((await server().query('SELECT last_value::int AS n FROM sends')).rows).toEqual([{ n: 1 }])
    }
    await pool.end()
  })
})
