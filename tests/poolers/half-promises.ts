/**
 * What becomes of a write of which the pooler has got only a half. Its session at the server holds the row of the key, or its own, and waits for the rest, which never comes. With plain `pg`
 * that lasts until the pooler notices, and the same insert by another client waits as long.
 */

import assert from 'node:assert/strict'
import { Pool } from '@thaw/pg'
import type { PostgresServer } from '@thaw/testkit'
import { until } from '../faults/until.ts'
import { startHalfFlight } from './half-flight.ts'
import type { AnyPooler, Kept } from './promises.ts'

const insert = (token: string) => ({ text: 'insert into half_ledger values ($1)', values: [token] })

const WRITES: Readonly<Record<string, (pool: Pool, token: string) => Promise<unknown>>> = {
  'a key': (pool, token) => pool.query({ ...insert(token), idempotencyKey: token }),
  'a batch with a key': (pool, token) => pool.batch([insert(token)], { idempotencyKey: token }),
  'a batch, where the table of keys is there': (pool, token) => pool.batch([insert(token)]),
  'a transaction': (pool, token) => pool.transaction((client) => client.query(insert(token))),
  once: (pool, token) => pool.query({ ...insert(token), once: true }),
}
/** A half that arrives when the key is stored runs into it: its session waits for the rest, but holds nothing. */
const LEFT =
  "select from pg_locks where relation = 'thaw_idempotency'::regclass and mode = 'RowExclusiveLock' union all select from pg_locks where locktype = 'advisory'"

async function isStoredOnce(pooler: AnyPooler, server: PostgresServer, name: string): Promise<void> {
  await using relay = await startHalfFlight(pooler)
  const connectionString = Object.assign(new URL(server.url), { hostname: relay.host, port: String(relay.port) }).href
  const pool = new Pool({ connectionString, max: 2 })
  try {
    // It finds the table of keys.
    await pool.transaction((client) => client.query('select 1'))
    const struck = relay.loseFrom(insert('').text)
    const write = WRITES[name] as (pool: Pool, token: string) => Promise<unknown>
    const told = await write(pool, name).then(
      () => 'stored',
      (error: Error) => error,
    )
    await struck
    assert.equal(told, 'stored', `${name}: ${told}`)
    assert.equal((await server.query('select from half_ledger where token = $1', [name])).rowCount, 1, name)
    await until('no session holds a row of the table of keys', async () => (await server.query(LEFT)).rowCount === 0)
  } finally {
    await pool.end({ timeoutMillis: 1000 })
  }
}

/** Each by its name. The pooler needs a session more than those that are stuck. */
export const HALF_PROMISES: Readonly<Record<string, Kept>> = {
  async 'a half batch without a key is unknown, and leaves no session with its locks'(pooler, server) {
    await server.query('create table half_ledger (token text)')
    await using relay = await startHalfFlight(pooler)
    const connectionString = Object.assign(new URL(server.url), { hostname: relay.host, port: String(relay.port) }).href
    const pool = new Pool({ connectionString, max: 2 })
    try {
      const struck = relay.loseFrom('select 77')
      await assert.rejects(pool.batch([insert('half'), 'select 77']), { name: 'OutcomeUnknownError' })
      await struck
      const left = "select from pg_locks where relation = 'half_ledger'::regclass"
      await until('no session holds its locks', async () => (await server.query(left)).rowCount === 0)
    } finally {
      await pool.end({ timeoutMillis: 1000 })
    }
    await server.query('drop table half_ledger')
  },
  async 'a half flight under a key is fenced, and stored once'(pooler, server) {
    await server.query('create table half_ledger (token text)')
    const pool = new Pool({ connectionString: pooler.urlFor(server.url) })
    await pool.createIdempotencyTable()
    await pool.end()
    for (const name of Object.keys(WRITES)) await isStoredOnce(pooler, server, name)
    await server.query('drop table half_ledger, thaw_idempotency')
  },
}
