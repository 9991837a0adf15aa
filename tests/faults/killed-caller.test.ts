/**
 * A process that is killed (SIGKILL) between its write and the answer, and another one that is given the same job.
 *
 * What breaks: whatever the first process knew is gone, and its connection closes in the middle. With plain `pg` the second writes again, or must look by itself. With Thaw and the same
 * idempotency key it is stored once, and the second is told what the first one stored.
 */

import { spawnFreezable } from '@thaw/testkit'
import { beforeAll, describe, expect, test } from 'vitest'
import { activeBackends, useSetting } from './setting.ts'

const setting = useSetting()
const INSERT = 'INSERT INTO ledger VALUES ($1) RETURNING token'
/** Waits for a lock of the test's. */
const WHEN_FREE = 'INSERT INTO ledger SELECT $1 FROM pg_advisory_xact_lock(18) RETURNING token'

beforeAll(async () => {
  await setting.server.query('DROP TABLE IF EXISTS thaw_idempotency')
})

describe.each([
  ['one statement', false],
  ['a batch', true],
] as const)('%s with a key, whose process is killed', (_name, isBatch) => {
  const second = async (text: string, token: string) => {
    const pool = setting.thaw()
    if (!isBatch) return pool.query({ text, values: [token], idempotencyKey: token })
    return (await pool.batch([{ text, values: [token] }, 'SELECT 1'], { idempotencyKey: token }))[0]
  }

  test.each([
    ['before its request has arrived', 'loseNextRequest', false],
    ['when it was stored, before the answer', 'loseNextAnswer', true],
  ] as const)('%s', async (when, lose, isStored) => {
    await setting.thaw().createIdempotencyTable()
    const token = `${when} ${isBatch}`
    await using child = await spawnFreezable(new URL('./killed-child.ts', import.meta.url))
    // Nothing comes back, and nothing is closed: it waits.
    const lost = setting.proxy[lose]({ containing: token, cut: 'drop' })
    const told = child.call('write', { url: setting.proxy.urlFor(setting.server.url), text: INSERT, token, isBatch }).catch(() => 'killed')
    await lost.struck
    expect(await setting.rows(token)).toBe(isStored ? 1 : 0)
    await child.kill()
    expect(await told).toBe('killed')
    const answer = await second(INSERT, token)
    expect(answer?.rows).toEqual([{ token }])
    expect(answer?.repeated === true).toBe(isStored)
    expect(await setting.rows(token)).toBe(1)
  })

  test('while the server is at work: the second waits for what the first has begun', async () => {
    await setting.thaw().createIdempotencyTable()
    const token = `at work ${isBatch}`
    const holder = await setting.plain().connect()
    await holder.query('SELECT pg_advisory_lock(18)')
    await using child = await spawnFreezable(new URL('./killed-child.ts', import.meta.url))
    const told = child
      .call('write', { url: setting.proxy.urlFor(setting.server.url), text: WHEN_FREE, token, isBatch })
      .catch(() => 'killed')
    await activeBackends(setting.server, 1, 'pg_advisory_xact_lock')
    await child.kill()
    expect(await told).toBe('killed')
    const answer = second(WHEN_FREE, token)
    await holder.query('SELECT pg_advisory_unlock(18)')
    holder.release()
    expect((await answer)?.rows).toEqual([{ token }])
    expect(await setting.rows(token)).toBe(1)
  })
})
