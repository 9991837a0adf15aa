/** Thaw's questions behind a statement that has failed: the server refuses them with everything else, which says nothing of what it can tell. */

import type { Pool } from '@thaw/pg'
import Cursor from 'pg-cursor'
import { beforeAll, expect, test } from 'vitest'
import { failure, INSERT, useSetting } from './setting.ts'

const setting = useSetting()

beforeAll(() => setting.server.query('CREATE TABLE locked (n int)'))

type First = (client: Parameters<Parameters<Pool['transaction']>[0]>[0]) => Promise<unknown>

test.each<[string, First, code: string]>([
  ['LOCK … NOWAIT', (client) => client.query('LOCK TABLE locked IN EXCLUSIVE MODE NOWAIT'), '55P03'],
  ['SET LOCAL with a typing error', (client) => client.query("SET LOCAL statement_timeuot = '1s'"), '42704'],
  ['several statements in one text', (client) => client.query('SELECT 1; INSERT INTO nowhere VALUES (1)'), '42P01'],
  ['a cursor', (client) => (client as unknown as { query(cursor: Cursor): Cursor }).query(new Cursor('SELECT 1/0')).read(1), '22012'],
  ['an ordinary statement', (client) => client.query('SELECT 1/0'), '22012'],
])('%s: the function runs once, and a COMMIT that is lost later is resolved', async (how, first, code) => {
  const holder = await setting.plain().connect()
  await holder.query('BEGIN; LOCK TABLE locked')
  const pool = setting.thaw()
  let runs = 0
  const error = await failure(
    pool.transaction(
      async (client) => {
        runs++
        await first(client).catch((refused: Error & { code?: string }) => expect(refused.code).toBe(code))
        await client.query(INSERT, [`behind ${how}`])
      },
      { retries: 0 },
    ),
  )
  expect({ code: error.code, runs }).toEqual({ code: '25P02', runs: 1 })
  await holder.query('ROLLBACK')
  holder.release()

  for (const kind of ['transaction', 'once']) {
    const token = `${kind} after ${how}`
    const lost = setting.proxy.loseNextAnswer({ containing: 'COMMIT' })
    if (kind === 'once') await pool.query({ text: INSERT, values: [token], once: true })
    else await pool.transaction((client) => client.query(INSERT, [token]))
    await lost.struck
    expect(await setting.rows(token)).toBe(1)
  }
})
