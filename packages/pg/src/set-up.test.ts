/** `onConnect` is at work on a connection that the pool gives up. */

import type stock from 'pg'
import { expect, onTestFinished, test } from 'vitest'
import { proxy, server, useFreshProxy } from '../test/one-server.ts'
import { Pool, type PoolConfig } from './index.ts'

useFreshProxy()

const PATIENCE = { timeout: 20_000 }
const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))
const read = async (pool: stock.Pool) => (await pool.query('select 1 as one')).rows
const told = (asked: Promise<unknown>) => asked.catch((error: Error) => error.message)

type OnConnect = (client: stock.ClientBase, run: number) => unknown

function create(onConnect: OnConnect, config: PoolConfig = {}, Class: typeof stock.Pool = Pool as never) {
  let runs = 0
  const errors: string[] = []
  const pool = new Class({
    connectionString: proxy.urlFor(server.url),
    max: 1,
    onConnect: (client: stock.ClientBase) => onConnect(client, ++runs),
    ...config,
  } as never)
  pool.on('error', ({ message }) => errors.push(message))
  onTestFinished(async () => {
    if (pool instanceof Pool && !pool.ending) await pool.end({ timeoutMillis: 1000 })
  })
  return { pool, errors, runs: () => runs }
}

test.each([{}, { timeoutMillis: 100 }])(
  'the pool ends (%o) while it is at work: no error is told of its connection',
  PATIENCE,
  async (how) => {
    const { pool, errors } = create(() => sleep(3000), { connectionTimeoutMillis: 500 })
    const asked = told(read(pool))
    await sleep(100)
    await (pool as unknown as Pool).end(how)
    expect(await asked).toMatch(/timeout exceeded|after calling end/)
    await sleep(50)
    expect(errors).toEqual([])
  },
)
