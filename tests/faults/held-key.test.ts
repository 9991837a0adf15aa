/**
 * The row of a key is held by another session for longer than a question waits. What breaks: the pool gives the question up, but its session at the server goes on waiting, and with each further
 * question there is one more of them; behind a pooler they take the sessions of everybody. With plain `pg` an insert that is given up by `query_timeout` waits on, too.
 */

import { Pool } from '@thaw/pg'
import { startFaultProxy, startPooler, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { expect, test } from 'vitest'
import { until } from './until.ts'

const TOMBSTONES = `SELECT pid, query_start::text FROM pg_stat_activity WHERE state = 'active' AND wait_event_type = 'Lock' AND query LIKE 'INSERT INTO thaw_idempotency AS it%'`

test('a question of ours that is given up leaves the server', async () => {
  await using server = await startPostgres()
  await using pooler = await startPooler(server, { sessions: 6 })
  await using proxy = await startFaultProxy(pooler)
  const pool = new Pool({ connectionString: proxy.urlFor(server.url) })
  await pool.createIdempotencyTable()
  await server.query('CREATE TABLE ledger (token text)')
  const other = new pg.Client(server.url)
  await other.connect()
  await other.query("BEGIN; INSERT INTO thaw_idempotency (key, fingerprint, state) VALUES ('it', 'another', 'done')")
  const write = pool.query({ text: 'INSERT INTO ledger VALUES ($1)', values: ['it'], idempotencyKey: 'it' })
  const waiting = async () => (await server.query(TOMBSTONES)).rows as { pid: number; query_start: string }[]
  await until('its claim waits', async () => {
    const { rowCount } = await server.query("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
    return rowCount === 1
  })
  proxy.cut('rst')
  await until('a tombstone waits', async () => (await waiting()).length === 1)
  const [first] = await waiting()
  await until('it has left', async () => !(await waiting()).some((each) => each.query_start === first?.query_start))
  await other.query('ROLLBACK')
  await write
  expect((await server.query('SELECT FROM ledger')).rowCount).toBe(1)
  await other.end()
  await pool.end()
})

test('a database that has no advisory locks, or does not let this role take them, has keys and transactions all the same', async () => {
  await using server = await startPostgres()
  await server.query('CREATE TABLE ledger (token text)')
  const owner = new Pool({ connectionString: server.url })
  await owner.createIdempotencyTable()
  await owner.end()
  await server.query(`REVOKE EXECUTE ON FUNCTION pg_try_advisory_xact_lock_shared(int, int) FROM PUBLIC;
    CREATE ROLE app LOGIN PASSWORD 'app'; GRANT ALL ON ledger, thaw_idempotency TO app`)
  const connectionString = Object.assign(new URL(server.url), { username: 'app', password: 'app' }).href
  const pool = new Pool({ connectionString })
  const write = (it: string) => pool.query({ text: 'INSERT INTO ledger VALUES ($1)', values: [it], idempotencyKey: it })
  await write('first')
  await write('second')
  expect((await server.query('SELECT FROM ledger')).rowCount).toBe(2)
  await pool.end()
  // Each is the first of its pool.
  await using proxy = await startFaultProxy(server)
  const calls: ((pool: Pool) => Promise<unknown>)[] = [
    (fresh) => fresh.transaction((client) => client.query("INSERT INTO ledger VALUES ('more')")),
    (fresh) => fresh.transaction((client) => client.query("SELECT 1; INSERT INTO ledger VALUES ('more')")),
    (fresh) => fresh.query({ text: "INSERT INTO ledger VALUES ('more')", once: true }),
    (fresh) => fresh.batch(["INSERT INTO ledger VALUES ('more')"]),
  ]
  for (const call of calls) {
    const fresh = new Pool({ connectionString: proxy.urlFor(connectionString) })
    await call(fresh)
    // It is still asked for the ids of transactions.
    const lost = proxy.loseNextAnswer({ containing: 'COMMIT' })
    await fresh.transaction((client) => client.query("INSERT INTO ledger VALUES ('more')"))
    await lost.struck
    await fresh.end()
  }
  expect((await server.query("SELECT FROM ledger WHERE token = 'more'")).rowCount).toBe(2 * calls.length)
})
