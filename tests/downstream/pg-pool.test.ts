/** Thaw's pool passes for node-postgres' own: its tests, unchanged, give the same result on both. */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { publishedSuite, runPgPoolSuite, type SuiteResult } from './pg-pool-suite.ts'

/** Fails on the stock pool too, now and then: it may take another client's `remove` for the one that it waits for. Later versions do not. */
const MISTAKEN = 'times out and removes clients when others are also removed'

describe('the tests of pg-pool', () => {
  let server: PostgresServer
  let stock: SuiteResult
  let thaw: SuiteResult

  beforeAll(async () => {
    server = await startPostgres()
    const run = (pool: 'stock' | 'thaw') => runPgPoolSuite(publishedSuite(), pool, server, MISTAKEN)
    ;[stock, thaw] = await Promise.all([run('stock'), run('thaw')])
  }, 120_000)

  afterAll(() => server.close())

  test('run', () => {
    expect(stock.passing.length).toBeGreaterThan(70)
  })

  test('pass on Thaw', () => {
    expect(thaw.failing).toEqual([])
  })

  test('give the same result on Thaw as on the stock pool', () => {
    expect(thaw).toEqual(stock)
  })
})
