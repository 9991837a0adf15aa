/**
 * A server that stays up, about which something looks as if it had not.
 *
 * What breaks: an administrator, or a monitoring tool, resets statistics, which a crash throws away too.
 * With plain `pg` a lost COMMIT is unknown in any case. With Thaw it is stored once, and told so; or, where it could have been a crash, unknown, and never told as not stored.
 */

import { OutcomeUnknownError, type Pool } from '@thaw/pg'
import { describe, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

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
