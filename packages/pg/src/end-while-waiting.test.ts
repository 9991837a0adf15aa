/** `pool.end()` while a caller waits, who goes without a connection: the pool has ended then. Plain pg waits for as long as the connection is being opened. */

import { setTimeout as sleep } from 'node:timers/promises'
import stock from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { proxy, server, useFreshProxy } from '../test/one-server.ts'
import { Pool, type PoolConfig } from './index.ts'

useFreshProxy()

const SOON = { timeout: 5000 }

/** Ends the pool while its caller waits for a connection that never comes. */
async function endWhile(pool: stock.Pool, ask: (pool: stock.Pool) => Promise<unknown>): Promise<string[]> {
  pool.on('error', () => {})
  const order: string[] = []
  const asked = ask(pool).then(
    () => order.push('served'),
    (error: Error) => order.push(error.name),
  )
  await sleep(100)
  const ended = pool.end().then(() => order.push('ended'))
  await Promise.all([asked, ended])
  return order
}

const create = (config: PoolConfig) =>
  new Pool({ connectionString: proxy.urlFor(server.url), max: 1, hedge: false, connectionTimeoutMillis: 500, ...config } as PoolConfig)
/** Longer than an attempt takes until another is made beside it. */
const silent = {
  connectionTimeoutMillis: 1500,
  onConnect(client: stock.ClientBase) {
    proxy.cut('drop')
    return client.query('select 1')
  },
}
const aborted = () => AbortSignal.timeout(300)

test.each<[string, PoolConfig, (pool: stock.Pool) => Promise<unknown>, string]>([
  ['its time is up while `onConnect` waits', silent as never, (pool) => pool.query('select 1'), 'AcquireTimeoutError'],
  ['it aborts', { connectionTimeoutMillis: 0 }, (pool) => (pool as Pool).connect({ signal: aborted() }), 'TimeoutError'],
  ['its query aborts', {}, (pool) => pool.query({ text: 'select 1', signal: aborted() } as never), 'TimeoutError'],
])('%s', SOON, async (_, config, ask, error) => {
  if (!('onConnect' in config)) proxy.deafen()
  const pool = create(config)
  expect(await endWhile(pool, ask)).toEqual([error, 'ended'])
  expect(pool.totalCount).toBe(0)
})

test('plain pg does not end while its connection is being opened, however long that takes', async () => {
  const pool = new stock.Pool({ connectionString: proxy.urlFor(server.url), max: 1, ...silent } as never)
  const over = sleep(2500, 'still waiting')
  onTestFinished(() => void proxy.cut('rst'))
  expect(await Promise.race([endWhile(pool, () => pool.query('select 1')), over])).toBe('still waiting')
})
