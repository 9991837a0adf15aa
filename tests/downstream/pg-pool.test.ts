/**
 * Thaw's pool passes for node-postgres' own: whatever of its tests, unchanged, passes on the stock pool passes on Thaw.
 *
 * They give the server 100 ms for ten new connections, and more like this, so that on a busy machine the stock pool fails some of them
 * too. Therefore both run one after the other, all tests each time, and what fails on Thaw alone is looked at in another round. Nothing is
 * excused that fails on Thaw in every round and on the stock pool in none of them.
 */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { publishedSuite, runPgPoolSuite, type SuiteResult } from './pg-pool-suite.ts'

interface Round {
  readonly stock: SuiteResult
  readonly thaw: SuiteResult
}

const MOST_ROUNDS = 6
const HOOK_TIMEOUT_MILLIS = 1_800_000

describe('the tests of pg-pool', () => {
  const rounds: Round[] = []
  let server: PostgresServer

  beforeAll(async () => {
    server = await startPostgres()
    const run = (pool: keyof Round) => runPgPoolSuite(publishedSuite(), pool, server)
    do rounds.push({ stock: await run('stock'), thaw: await run('thaw') })
    while (rounds.length < MOST_ROUNDS && failOnThawAlone(rounds).length > 0)
  }, HOOK_TIMEOUT_MILLIS)

  afterAll(() => server.close())

  test.each(['stock', 'thaw'] as const)('run on %s', (pool) => {
    for (const round of rounds) expect(round[pool].passing.length).toBeGreaterThan(60)
  })

  test('pass on Thaw if they pass on the stock pool', () => {
    expect(failOnThawAlone(rounds)).toEqual([])
  })

  test('are the same on both', () => {
    for (const { stock, thaw } of rounds) expect(titlesOf(thaw)).toEqual(titlesOf(stock))
  })
})

function failOnThawAlone(rounds: readonly Round[]): string[] {
  const failing = new Set(rounds[0]?.thaw.failing)
  const fails = (title: string, pool: keyof Round) => (round: Round) => round[pool].failing.includes(title)
  return [...failing].filter((title) => rounds.every(fails(title, 'thaw')) && !rounds.some(fails(title, 'stock')))
}

function titlesOf({ passing, pending, failing }: SuiteResult): { readonly run: string[]; readonly pending: readonly string[] } {
  return { run: [...passing, ...failing].sort(), pending }
}
