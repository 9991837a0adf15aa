/**
 * Cursors and row streams on the client of `pool.transaction()`, on both drivers.
 *
 * What breaks: nothing of the network. With plain `pg` they work between BEGIN and COMMIT, and a COMMIT behind a cursor that is still open is never answered. With Thaw that is an error,
 * nothing is stored, and the connection is given up.
 */

import { Pool as NeonPool } from '@thaw/neon'
import { Pool, TransactionUseError } from '@thaw/pg'
import Cursor from 'pg-cursor'
import QueryStream from 'pg-query-stream'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { neon, useOneNeon } from './one-neon.ts'
import { failure } from './setting.ts'

useOneNeon()

const ROWS = 'SELECT n FROM generate_series(1, 1000) n'

let pool: Pool

beforeAll(() => neon.postgres.query('CREATE TABLE seen (n int)'))
afterEach(async () => {
  await pool.end({ timeoutMillis: 1000 })
  await neon.postgres.query('TRUNCATE seen')
})

const seen = async () => (await neon.postgres.query('SELECT FROM seen')).rowCount

describe.each([
  ['@thaw/pg', () => new Pool({ connectionString: neon.postgres.url, max: 1 })],
  ['@thaw/neon', () => new NeonPool({ connectionString: neon.url, max: 1 }) as unknown as Pool],
])('%s', (_driver, create) => {
  test('they are read inside of it, also as its first statement, and in a part of it', async () => {
    pool = create()
    const read = await pool.transaction(async (client) => {
      const cursor = client.query(new Cursor(ROWS))
      const first = await cursor.read(10)
      await cursor.close()
      await client.query('INSERT INTO seen VALUES (1)')
      let n = 0
      for await (const _ of client.query(new QueryStream(ROWS))) n++
      await client.transaction(async (part) => {
        for await (const _ of part.query(new QueryStream(ROWS))) break
        await part.query('INSERT INTO seen VALUES (2)')
      })
      return [first.length, n]
    })
    expect(read).toEqual([10, 1000])
    expect(await seen()).toBe(2)
    expect([pool.totalCount, pool.idleCount]).toEqual([1, 1])
  })

  test.each([
    ['when it ends', false],
    ['in a part of it', true],
  ])('one that is left open %s: an error and no hang, and nothing is stored', async (_name, isPart) => {
    pool = create()
    const open = async (client: { query(cursor: Cursor): Cursor }) => void (await client.query(new Cursor(ROWS)).read(1))
    const left = pool.transaction(async (client) => {
      await client.query('INSERT INTO seen VALUES (1)')
      await (isPart ? client.transaction((part) => open(part as never)) : open(client as never))
    })
    expect(await failure(left)).toBeInstanceOf(TransactionUseError)
    expect(await pool.query('SELECT 1')).toMatchObject({ rowCount: 1 })
    expect(await seen()).toBe(0)
  })

  test('one that is left open by an error: that error comes out', async () => {
    pool = create()
    const mine = new Error('mine')
    const left = pool.transaction(async (client) => {
      await client.query(new Cursor(ROWS)).read(1)
      throw mine
    })
    await expect(left).rejects.toBe(mine)
    expect(await pool.query('SELECT 1')).toMatchObject({ rowCount: 1 })
  })
})
