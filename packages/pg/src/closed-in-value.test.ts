/** The connection is closed by code of the user's that runs while a value is made into text: the statement's caller is told, and the next one is served. Plain pg beside it. */

import stock from 'pg'
import { expect, test } from 'vitest'
import { server, useOneServer } from '../test/one-server.ts'
import { Pool } from './index.ts'

useOneServer()

const SOON = { timeout: 5000 }

type Closing = (client: stock.PoolClient, abort: () => void) => void
type Asking = (pool: stock.Pool, client: stock.PoolClient | undefined, config: stock.QueryConfig) => Promise<unknown>

const CLOSINGS: readonly [string, Closing][] = [
  ['client.end()', (client) => void (client as unknown as stock.Client).end()],
  ['stream.destroy()', (client) => void (client as unknown as { connection: stock.Connection }).connection.stream.destroy()],
  [
    'stream.destroy(error)',
    (client) => void (client as unknown as { connection: stock.Connection }).connection.stream.destroy(new Error('planted')),
  ],
]
const ABORTING: readonly [string, Closing][] = [['its signal', (_, abort) => abort()]]

const READ = 'select $1::text as who'
const WRITE = 'create temporary table if not exists unread as select $1::text as who'
const ASKINGS: readonly [string, string, Asking][] = [
  ['pool.query()', READ, (pool, _, config) => pool.query(config)],
  ['pool.query() that writes', WRITE, (pool, _, config) => pool.query(config)],
  ['client.query()', READ, (_, client, config) => client?.query(config) ?? Promise.resolve()],
  ['client.query() that writes', WRITE, (_, client, config) => client?.query(config) ?? Promise.resolve()],
  ['transaction()', READ, (pool, _, config) => (pool as Pool).transaction((sql) => sql.query(config))],
  ['batch()', READ, (pool, _, config) => (pool as Pool).batch([config, 'select 2'] as never)],
]

async function isTold(pool: stock.Pool, close: Closing, [how, text, ask]: (typeof ASKINGS)[number]): Promise<void> {
  pool.on('error', () => {})
  let current: stock.PoolClient | undefined
  pool.on('connect', (client) => {
    current = client
  })
  await pool.query('select 1')
  const own = how.startsWith('client') ? await pool.connect() : undefined
  own?.on('error', () => {})
  const controller = new AbortController()
  const value = {
    toPostgres() {
      if (current) close(current, () => controller.abort())
      return 'a value'
    },
  }
  // It may be sent again, and closed again: what counts is that its caller hears of it.
  await ask(pool, own, { text, values: [value], signal: controller.signal } as never).catch((error: Error) =>
    expect(error).toBeInstanceOf(Error),
  )
  own?.release()
  expect((await pool.query('select 1 as n')).rows).toEqual([{ n: 1 }])
  await pool.end()
}

const create = (config: object = {}) => new Pool({ connectionString: server.url, max: 1, ...config })

for (const asking of ASKINGS) {
  test.each([...CLOSINGS, ...ABORTING])(`${asking[0]}: %s`, SOON, (_, close) => isTold(create(), close, asking))
  test.each([...CLOSINGS, ...ABORTING])(`${asking[0]}, on a client that must prove itself: %s`, SOON, (_, close) =>
    isTold(create({ trustMillis: 0 }), close, asking),
  )
  if (/query/.test(asking[0]))
    test.each(CLOSINGS)(`plain pg, ${asking[0]}: %s`, SOON, (_, close) =>
      isTold(new stock.Pool({ connectionString: server.url, max: 1 }), close, asking),
    )
}

test('among reads that share a connection: all are told, and the pool goes on sharing', SOON, async () => {
  const pool = create({ share: true })
  pool.on('error', () => {})
  let current: stock.PoolClient | undefined
  pool.on('connect', (client) => {
    current = client
  })
  const ask = (value: unknown) => pool.query('select $1::text as who, pg_backend_pid() as pid', [value])
  for (let turn = 0; turn < 3; turn++) await Promise.all(['a', 'b'].map(ask))
  let isClosed = false
  const closing = {
    toPostgres() {
      if (!isClosed) (current as unknown as { connection: stock.Connection }).connection.stream.destroy()
      isClosed = true
      return 'closing'
    },
  }
  const told = await Promise.all(['a', 'b', closing, 'c', 'd'].map(ask))
  expect(told.map(({ rows }) => rows[0].who)).toEqual(['a', 'b', 'closing', 'c', 'd'])
  const after = await Promise.all(['e', 'f', 'g'].map(ask))
  expect(new Set(after.map(({ rows }) => rows[0].pid)).size).toBe(1)
  await pool.end()
})
