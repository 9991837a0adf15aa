/** A caller that waits is served in the async context in which it asked: a tracing tool puts each statement under its own request. Plain pg does not, for callers that wait. */

import { AsyncLocalStorage } from 'node:async_hooks'
import { type PostgresServer, startPostgres } from '@thaw/testkit'
import stock from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { Pool } from './index.ts'

const request = new AsyncLocalStorage<string>()
let server: PostgresServer

beforeAll(async () => {
  server = await startPostgres()
})
afterAll(() => server.close())

/** The request in whose context each of `count` concurrent statements is sent, as a tool sees it that patches the client. */
async function seen(
  PoolClass: typeof stock.Pool,
  by: 'query' | 'connect',
  max: number,
  trustMillis = 500,
): Promise<[string, string | undefined][]> {
  const sent: [string, string | undefined][] = []
  class Client extends stock.Client {
    override query(...values: unknown[]): never {
      // With a probe in front it is an object.
      const [given] = values as [string | { readonly text: string }]
      sent.push([typeof given === 'string' ? given : given.text, request.getStore()])
      return (super.query as (...all: unknown[]) => unknown)(...values) as never
    }
  }
  const pool = new PoolClass({ connectionString: server.url, max, Client, trustMillis, hedge: false } as stock.PoolConfig)
  const ask = (name: string) =>
    request.run(name, async () => {
      const text = `select '${name}'`
      if (by === 'query') await pool.query(text)
      else
        await new Promise<void>((resolve, reject) =>
          pool.connect((error, client, done) => {
            if (error || !client) return reject(error)
            client.query(text, () => {
              done()
              resolve()
            })
          }),
        )
    })
  // Each round finds the connections in another state: none, all of them idle, and more callers than connections.
  for (const round of ['1', '2']) await Promise.all(Array.from({ length: 8 }, (_, index) => ask(`request ${round} ${index}`)))
  await pool.end()
  return sent
}

/** The statement names the request that asked for it. */
const isOwn = ([text, name]: [string, string | undefined]) => text === `select '${name}'`

describe.each(['query', 'connect'] as const)('pool.%s', (by) => {
  test.each([
    ['trusted', 500],
    ['probed', 0],
  ])('statements on %s connections', async (_how, trustMillis) => {
    const sent = await seen(Pool as unknown as typeof stock.Pool, by, 3, trustMillis)
    expect(sent).toHaveLength(16)
    expect(sent.filter((one) => !isOwn(one))).toEqual([])
  })

  test('plain pg sends them in the context of the caller that released the client', async () => {
    const sent = await seen(stock.Pool, by, 3)
    expect(sent.filter((one) => !isOwn(one)).length).toBeGreaterThan(0)
  })
})
