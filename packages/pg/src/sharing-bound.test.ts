/** Reads of one moment with a bound of their own: the one that exceeds it is told so, the others are answered. Plain pg beside it. */

import stock from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { server, useOneServer } from '../test/one-server.ts'
import { Pool } from './index.ts'

useOneServer()

const TEN = Array.from({ length: 10 }, (_, index) => index)
const BOUND_MILLIS = 60

/** What is told in bursts of ten, of which each third takes three times as long as it may. */
async function toldBy(pool: stock.Pool): Promise<{ quick: Set<unknown>; slow: Set<unknown> }> {
  onTestFinished(() => pool.end())
  pool.on('error', () => {})
  const text = 'select $1::int as n, case when $2::float8 > 0 then pg_sleep($2) end'
  const ask = (n: number, seconds: number) =>
    pool.query({ text, values: [n, seconds], query_timeout: seconds > 0 ? BOUND_MILLIS : 20_000 } as stock.QueryConfig)
  const clients = await Promise.all(TEN.map(() => pool.connect()))
  for (const client of clients) client.release()
  for (let turn = 0; turn < 20; turn++) await Promise.all(TEN.map((n) => ask(n, 0)))
  const told = { quick: new Set<unknown>(), slow: new Set<unknown>() }
  for (let turn = 0; turn < 12; turn++) {
    await Promise.all(
      TEN.map(async (n) => {
        const isSlow = (turn + n) % 3 === 0
        const answer = await ask(n, isSlow ? (3 * BOUND_MILLIS) / 1000 : 0).then(
          ({ rows }) => rows[0].n === n,
          (error: Error) => error.message.slice(0, 'Query read timeout'.length),
        )
        told[isSlow ? 'slow' : 'quick'].add(answer)
      }),
    )
  }
  return told
}

const EXPECTED = { quick: new Set([true]), slow: new Set(['Query read timeout']) }

test('plain pg', async () => {
  expect(await toldBy(new stock.Pool({ connectionString: server.url, max: 10 }))).toEqual(EXPECTED)
})

test.each([{ share: true }, { share: 'auto' }, { share: false }])('%o', async (config) => {
  expect(await toldBy(new Pool({ connectionString: server.url, max: 10, ...config } as never))).toEqual(EXPECTED)
})
