import * as stock from '@neondatabase/serverless'
import { createFakeClock, type FakeClock } from '@thaw/testkit'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { neon, useOneNeon } from '../test/one-neon.ts'
import { neon as connect } from './index.ts'

useOneNeon()

let clock: FakeClock
let sql: ReturnType<typeof connect>

beforeEach(() => {
  clock = createFakeClock()
  sql = connect(neon.url, { clock })
})
afterEach(() => {
  stock.neonConfig.fetchFunction = undefined
})

/** What a statement's `fetch` was told. */
async function dispatcherOf(send: () => PromiseLike<unknown>): Promise<unknown> {
  let seen: unknown
  stock.neonConfig.fetchFunction = (url: string, options: RequestInit & { dispatcher?: unknown }) => {
    seen = options.dispatcher
    return fetch(url, options)
  }
  await send()
  return seen
}

test('after a silence the request goes out on a new socket, and not before', async () => {
  await sql`SELECT 1`
  await sql`SELECT 1`
  const before = neon.network.counters.flowsOpened
  await sql`SELECT 1`
  const trusted = neon.network.counters.flowsOpened
  clock.stepWall(4000)
  await sql`SELECT 1`
  expect(neon.network.counters.flowsOpened).toBe(trusted + 1)
  expect(trusted - before).toBeLessThanOrEqual(1)
})

test('a freeze that one clock proves is enough, however short the silence', async () => {
  await sql`SELECT 1`
  const before = neon.network.counters.flowsOpened
  clock.freeze(1000, { stops: 'mono' })
  await sql`SELECT 1`
  expect(neon.network.counters.flowsOpened).toBe(before + 1)
})

test('a fetch, or a dispatcher, of the caller is left alone', async () => {
  await sql`SELECT 1`
  clock.stepWall(60_000)
  expect(await dispatcherOf(() => sql`SELECT 1`)).toBeUndefined()
  stock.neonConfig.fetchFunction = undefined
  const dispatcher = {}
  const own = dispatcherOf(() => sql.query('SELECT 1', [], { fetchOptions: { dispatcher } }).catch(() => {}))
  expect(await own).toBe(dispatcher)
})
