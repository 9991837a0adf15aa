/**
 * Batches, `once` and keys are applied as they were given, on both drivers, whatever their caller does with the values meanwhile.
 *
 * What breaks: a request is lost, and the array of its values is used again before it is sent once more. Plain `pg` does not send again. With Thaw the second request carries what the first did: it
 * stored the caller's new values, under the fingerprint of the old ones.
 */

import { Pool as NeonPool } from '@thaw/neon'
import type { Pool } from '@thaw/pg'
import { beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { INSERT, useSetting } from './setting.ts'

useOneNeon()

const setting = useSetting()

beforeAll(() => neon.postgres.query('CREATE TABLE ledger (token text NOT NULL)'))
beforeEach(async () => {
  for (const server of [neon.postgres, setting.server]) await server.query('TRUNCATE ledger')
})

const WAYS: readonly [string, (pool: Pool, values: string[]) => Promise<unknown>][] = [
  ['a key', (pool, values) => pool.query({ text: INSERT, values, idempotencyKey: crypto.randomUUID() })],
  ['once', (pool, values) => pool.query({ text: INSERT, values, once: true })],
  ['a batch', (pool, values) => pool.batch([{ text: INSERT, values }])],
  ['a batch, once', (pool, values) => pool.batch([{ text: INSERT, values }], { once: true })],
]

describe.each([
  ['@thaw/pg', () => setting.thaw(), () => setting.proxy, () => setting.server],
  ['@thaw/neon', () => new NeonPool({ connectionString: neon.url }) as unknown as Pool, () => neon.compute, () => neon.postgres],
])('%s', (_driver, create, network, server) => {
  test.each(WAYS)('%s', async (_name, write) => {
    const pool = create()
    await pool.createIdempotencyTable()
    const values = ['as given']
    const lost = network().loseNextRequest({ containing: 'as given' })
    const written = write(pool, values)
    await lost.struck
    values[0] = 'changed'
    await written
    expect((await server().query('SELECT token FROM ledger')).rows).toEqual([{ token: 'as given' }])
    await pool.end()
  })
})
