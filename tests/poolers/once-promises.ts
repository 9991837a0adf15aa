/**
 * What Thaw promises of writes behind any pooler, when a request or an answer is lost between it and the pooler: stored once, and told so. Behind a pooler the pid that a login told is
 * not the backend's, and each transaction may have another backend.
 */

import assert from 'node:assert/strict'
import type { Pool } from '@thaw/pg'
import type { PostgresServer } from '@thaw/testkit'
import { type AnyPooler, type Kept, open } from './promises.ts'

const insert = (token: string) => ({ text: 'insert into once_ledger values ($1) returning token', values: [token] })

interface Write {
  /** A text in the message whose request, or whose answer, is lost. */
  readonly containing: string
  run(pool: Pool, token: string): Promise<unknown>
}

const WRITES: Readonly<Record<string, Write>> = {
  'a transaction': {
    containing: 'COMMIT',
    async run(pool, token) {
      return pool.transaction(async (client) => {
        await client.query('select 1')
        return (await client.query(insert(token))).rows
      })
    },
  },
  'a statement with once': {
    containing: 'COMMIT',
    run: async (pool, token) => (await pool.query({ ...insert(token), once: true })).rows,
  },
  'a batch with once': {
    containing: 'COMMIT',
    run: async (pool, token) => (await pool.batch(['select 1', insert(token)], { once: true }))[1]?.rows,
  },
  'a batch': {
    containing: 'insert into once_ledger',
    run: async (pool, token) => (await pool.batch(['select 1', insert(token)]))[1]?.rows,
  },
  'a statement with a key': {
    containing: 'insert into once_ledger',
    run: async (pool, token) => (await pool.query({ ...insert(token), idempotencyKey: token })).rows,
  },
  'a batch with a key': {
    containing: 'insert into once_ledger',
    run: async (pool, token) => (await pool.batch(['select 1', insert(token)], { idempotencyKey: token }))[1]?.rows,
  },
}

async function storedOnce(pooler: AnyPooler, server: PostgresServer, name: string, { containing, run }: Write): Promise<void> {
  await server.query('drop table if exists once_ledger; create table once_ledger (token text)')
  await using scene = await open(pooler, server, { max: 2, trustMillis: 60_000 })
  const { pool, proxy } = scene
  await pool.createIdempotencyTable()
  for (const lose of ['loseNextRequest', 'loseNextAnswer'] as const) {
    for (const cut of ['rst', 'fin'] as const) {
      const token = `${name}: ${lose} by ${cut}`
      const lost = proxy[lose]({ containing, cut })
      assert.deepEqual(await run(pool, token), [{ token }], token)
      await lost.struck
      assert.equal((await server.query('select from once_ledger where token = $1', [token])).rowCount, 1, token)
    }
  }
  assert.deepEqual(
    scene.events.filter((event) => event.type === 'outcome' && event.outcome === 'unknown'),
    [],
  )
  const inTransaction =
    "select query from pg_stat_activity where xact_start is not null and application_name <> 'thaw-testkit' and backend_type = 'client backend'"
  assert.deepEqual((await server.query(inTransaction)).rows, [])
  await server.query('drop table thaw_idempotency')
}

/** Each by its name. */
export const ONCE_PROMISES: Readonly<Record<string, Kept>> = Object.fromEntries(
  Object.entries(WRITES).map(([name, write]): [string, Kept] => [
    `${name} whose request or answer is lost is stored once`,
    (pooler, server) => storedOnce(pooler, server, name, write),
  ]),
)
