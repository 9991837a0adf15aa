/**
 * The time of an invocation runs out while a write is under way that is to be applied once, on a connection that has fallen silent.
 *
 * What breaks: the request or the answer is dropped, and nothing closes. With plain `pg` the call hangs until the platform ends the process. With Thaw the deadline ends it, one question is asked, and its
 * caller is told the truth: it is stored, or nothing of it is.
 */

import { AsyncLocalStorage } from 'node:async_hooks'
import { createInvocation, runInvocation } from '@thaw/core'
import type { Pool } from '@thaw/pg'
import { createFakeClock } from '@thaw/testkit'
import { beforeAll, describe, expect, test } from 'vitest'
import { useSetting } from './setting.ts'

const setting = useSetting()
const insert = (token: string) => ({ text: 'INSERT INTO ledger VALUES ($1) RETURNING token', values: [token] })

beforeAll(async () => {
  await setting.server.query('DROP TABLE IF EXISTS thaw_idempotency')
})

describe.each<[string, string, (pool: Pool, token: string) => Promise<unknown>]>([
  ['a transaction', 'COMMIT', async (pool, token) => (await pool.transaction((client) => client.query(insert(token)))).rows],
  ['once', 'COMMIT', async (pool, token) => (await pool.query({ ...insert(token), once: true })).rows],
  ['a batch', 'INTO ledger', async (pool, token) => (await pool.batch([insert(token)]))[0]?.rows],
  ['a key', 'INTO ledger', async (pool, token) => (await pool.query({ ...insert(token), idempotencyKey: token })).rows],
])('%s, at the deadline of its invocation', (name, containing, write) => {
  test.each([
    ['its request is lost: nothing is stored, and its caller knows', 'loseNextRequest'],
    ['its answer is lost: it is stored, and its caller has it', 'loseNextAnswer'],
  ] as const)('%s', async (_name, lose) => {
    const pool = setting.thaw()
    await pool.createIdempotencyTable()
    const clock = createFakeClock()
    const invocation = createInvocation({ id: name, endsAt: clock.wall() + 5_000, marginMillis: 0, clock })
    const token = `${name} ${lose}`
    const lost = setting.proxy[lose]({ containing, cut: 'drop' })
    const told = runInvocation(
      invocation,
      () => new AsyncLocalStorage(),
      () => write(pool, token).catch((error: Error) => error),
    )
    await lost.struck
    clock.advance(5_000)
    if (lose === 'loseNextAnswer') expect(await told).toEqual([{ token }])
    else expect(await told).toMatchObject({ kind: 'deadline' })
    expect(await setting.rows(token)).toBe(lose === 'loseNextAnswer' ? 1 : 0)
  })
})
