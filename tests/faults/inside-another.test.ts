/**
 * A session in which a transaction is open already, because a listener of `connect` or an `onConnect` has begun one and never ended it: a set-up whose COMMIT was forgotten.
 *
 * What breaks: nothing of the network. With plain `pg` whatever `pool.query()` writes there is told as done, and is rolled back when its connection ends. With Thaw a batch, or a write under a key, is never told as
 * stored: it is an error, and nothing of it is there.
 */

import { type Pool, type PoolConfig, TransactionUseError } from '@thaw/pg'
import type pg from 'pg'
import { describe, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()
const write = (token: string) => ({ text: INSERT, values: [token] })

const SETUPS: readonly (readonly [string, PoolConfig, (pool: pg.Pool) => void])[] = [
  ['a listener of connect', {}, (pool) => void pool.on('connect', (client) => void client.query('BEGIN').catch(() => {}))],
  [
    'onConnect',
    { onConnect: (client: pg.ClientBase) => client.query("BEGIN; SET LOCAL work_mem = '8MB'").then(() => {}) } as PoolConfig,
    () => {},
  ],
]

const CALLS: Readonly<Record<string, (pool: Pool, token: string) => Promise<unknown>>> = {
  'a key': (pool, token) => pool.query({ ...write(token), idempotencyKey: token }),
  'a batch under a key': (pool, token) => pool.batch([write(token)], { idempotencyKey: token }),
  'a batch with a key of its own': (pool, token) => pool.batch([write(token)]),
  'a batch': (pool, token) => pool.batch([write(token)], { once: false }),
}

describe.each(SETUPS)('%s has begun a transaction', (setup, config, listen) => {
  test('plain pg tells of a write that is done, and it is not there', async () => {
    const pool = setting.plain({ max: 1 })
    pool.on('connect', (client) => void client.query('BEGIN').catch(() => {}))
    await pool.query(INSERT, ['plain'])
    await pool.end()
    expect(await setting.rows('plain')).toBe(0)
  })

  test.each(Object.entries(CALLS))('%s: an error says so', async (name, call) => {
    await setting.thaw().createIdempotencyTable()
    const pool = setting.thaw({ max: 1, ...config })
    listen(pool)
    const token = `${setup} ${name}`
    expect(await failure(call(pool, token))).toBeInstanceOf(TransactionUseError)
    // A transaction ends what it finds. Its connection is sound from then on, and from it the pool learns of the table.
    await pool.transaction((client) => client.query('SELECT 1'))
    await call(pool, `${token}, behind`)
    await pool.end()
    expect([await setting.rows(token), await setting.rows(`${token}, behind`)]).toEqual([0, 1])
  })
})
