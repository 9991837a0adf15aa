/**
 * What becomes of a transaction behind a pooler whose answer is lost in silence, until its caller gives it up. Neither the pooler nor the server learns of it: with plain `pg` the session stays in its
 * transaction, and the next call that writes the same row waits for hours.
 */

import assert from 'node:assert/strict'
import { Pool } from '@thaw/pg'
import { type PostgresServer, startFaultProxy } from '@thaw/testkit'
import pg from 'pg'
import Cursor from 'pg-cursor'
import { until } from '../faults/until.ts'
import type { AnyPooler, Kept } from './promises.ts'

const WRITE = 'update left_stock set n = n + 1 /* lose */'

const CALLS: Readonly<Record<string, (pool: Pool) => Promise<unknown>>> = {
  'its first statement': (pool) => pool.transaction((client) => client.query(WRITE)),
  'its second': (pool) =>
    pool.transaction(async (client) => {
      await client.query('select 1')
      await client.query(WRITE)
    }),
  'several statements': (pool) => pool.transaction((client) => client.query(`select 1; ${WRITE}`)),
  'a cursor': (pool) => pool.transaction((client) => client.query(new Cursor(`${WRITE} returning n`)).read(10)),
  once: (pool) => pool.query({ text: WRITE, once: true }),
  'a batch with once': (pool) => pool.batch([WRITE], { once: true }),
}

const IN_TRANSACTION = "select pid from pg_stat_activity where state like 'idle in transaction%'"

async function byHand(pool: pg.Pool): Promise<void> {
  const client = await pool.connect()
  client.on('error', () => {})
  await client.query('begin')
  await client.query(WRITE).finally(() => client.release(true))
}

async function leavesNothing(pooler: AnyPooler, server: PostgresServer, name: string): Promise<void> {
  const proxy = await startFaultProxy(pooler)
  const pool = new Pool({ connectionString: proxy.urlFor(server.url), max: 2, query_timeout: 500 })
  try {
    await pool.transaction((client) => client.query('select 1'))
    const lost = proxy.loseNextAnswer({ containing: 'lose', cut: 'drop' })
    await assert.rejects((CALLS[name] as (pool: Pool) => Promise<unknown>)(pool), { name: 'DeadlineError' }, name)
    await lost.struck
    await until(`${name}: no session is in a transaction`, async () => (await server.query(IN_TRANSACTION)).rowCount === 0)
    assert.deepEqual((await server.query('select n from left_stock')).rows, [{ n: 0 }], name)
  } finally {
    await pool.end({ timeoutMillis: 1000 })
    await proxy.close()
  }
}

/** Each by its name. The pooler needs a session more than those that are stuck. */
export const LEFT_PROMISES: Readonly<Record<string, Kept>> = {
  async 'a transaction that is given up in silence leaves no session with its locks'(pooler, server) {
    await server.query('create table left_stock (n int); insert into left_stock values (0)')
    const proxy = await startFaultProxy(pooler)
    const plain = new pg.Pool({ connectionString: proxy.urlFor(server.url), query_timeout: 500 })
    const lost = proxy.loseNextAnswer({ containing: 'lose', cut: 'drop' })
    await assert.rejects(byHand(plain))
    await lost.struck
    assert.equal((await server.query(IN_TRANSACTION)).rowCount, 1)
    await proxy.close()
    await server.query(`select pg_terminate_backend(pid) from (${IN_TRANSACTION}) as it`)
    for (const name of Object.keys(CALLS)) await leavesNothing(pooler, server, name)
    await server.query('drop table left_stock')
  },
}
