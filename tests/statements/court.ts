/**
 * PostgreSQL is the judge. A statement is executed twice, in a READ ONLY transaction and as it is, and everything that it could leave behind is
 * looked at before and after: by another session, from inside its own, and by one that listens.
 */

import { type PostgresServer, startPostgres } from '@thaw/testkit'
import pg from 'pg'
import { SCHEMA } from './schema.ts'

/** What became of a statement. */
export interface Sentence {
  /** SQLSTATE of the error in the READ ONLY transaction, if it failed there. */
  readonly refused: string | undefined
  /** What is not as it was. */
  readonly traces: readonly string[]
}

export interface Court extends AsyncDisposable {
  readonly server: PostgresServer
  try(text: string, values?: readonly unknown[]): Promise<Sentence>
}

/** What every session can see: rows, relations, functions, sequences, large objects, locks, slots, transaction numbers, sessions. */
const WORLD = `
select (select json_object_agg(relation, rows) from (
    select 'users' as relation, md5(string_agg(t::text, '|' order by t::text)) as rows from shop.users t union all
    select 'orders', md5(string_agg(t::text, '|' order by t::text)) from shop.orders t union all
    select 'User', md5(string_agg(t::text, '|' order by t::text)) from shop."User" t union all
    select 'ledger', string_agg(t::text, '|' order by t::text) from shop.ledger t union all
    select 'lines', string_agg(t::text, '|' order by t::text) from shop.lines t union all
    select 'tree', string_agg(t::text, '|' order by t::text) from shop.tree t) tables) as rows,
  (select string_agg(format('%s %s', sequencename, last_value), ', ' order by sequencename) from pg_sequences) as sequences,
  (select format('%s %s', count(*), max(oid)) from pg_class) as relations,
  (select format('%s %s', count(*), max(oid)) from pg_proc) as functions,
  (select format('%s %s', count(*), max(oid)) from pg_namespace) as schemas,
  (select format('%s %s', count(*), max(oid)) from pg_roles) as roles,
  (select string_agg(oid::text, ' ' order by oid) from pg_largeobject_metadata) as large_objects,
  (select md5(string_agg(data, '' order by loid, pageno)) from pg_largeobject) as large_data,
  (select string_agg(format('%s %s %s', classid, objid, mode), ', ' order by objid, mode) from pg_locks where locktype = 'advisory') as locks,
  (select string_agg(slot_name, ' ' order by slot_name) from pg_replication_slots) as slots,
  (select string_agg(roname, ' ' order by roname) from pg_replication_origin) as origins,
  (select string_agg(gid, ' ' order by gid) from pg_prepared_xacts) as prepared,
  (select string_agg(pid::text, ' ' order by pid) from pg_stat_activity where backend_type = 'client backend') as sessions,
  pg_snapshot_xmax(pg_current_snapshot()) as transactions`

/** What only the session itself can see. */
const SESSION = `
select (select string_agg(name || '=' || setting, ', ' order by name) from pg_settings where source = 'session') as settings,
  (select string_agg(channel, ', ' order by channel) from pg_listening_channels() channel) as channels,
  (select string_agg(name, ', ' order by name) from pg_prepared_statements) as statements,
  (select string_agg(name, ', ' order by name) from pg_cursors) as cursors,
  current_setting('shop.tenant', true) as tenant, current_user::text as "user"`

/** read_only_sql_transaction: what writes and is not allowed to. */
export const READ_ONLY = '25006'

type Facts = Readonly<Record<string, unknown>>

/** `dialect`: how the sessions read plain strings. */
export async function openCourt(dialect: 'standard' | 'backslashes' = 'standard'): Promise<Court> {
  // Autovacuum takes transaction numbers as it likes.
  const settings = {
    autovacuum: 'off',
    max_prepared_transactions: 2,
    wal_level: 'logical',
    standard_conforming_strings: dialect === 'standard',
  }
  const server = await startPostgres({ settings: { ...settings, statement_timeout: '5s', escape_string_warning: false, lc_messages: 'C' } })
  await server.query(SCHEMA)
  const open = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: server.url })
    client.on('error', () => {})
    await client.connect()
    return client
  }
  const [witness, listener] = [await open(), await open()]
  let accused = await open()
  let rung = 0
  listener.on('notification', () => rung++)
  await listener.query('listen bell')

  const look = async (): Promise<Facts> => {
    // What was notified before the listener's query is delivered before its end.
    const [world, session] = await Promise.all([
      witness.query({ name: 'world', text: WORLD }),
      accused.query(SESSION),
      listener.query('select 1'),
    ])
    return { ...world.rows[0], ...session.rows[0], notifications: rung }
  }
  let before = await look()
  const compare = async (): Promise<string[]> => {
    const after = await look()
    const changed = Object.keys(after).filter((fact) => JSON.stringify(after[fact]) !== JSON.stringify(before[fact]))
    before = after
    return changed
  }
  /** After a trace the next one must find a session as new. */
  const renew = async (): Promise<void> => {
    await accused.end()
    accused = await open()
    before = await look()
  }

  return {
    server,
    async try(text, values = []) {
      const run = () => accused.query(text, [...values]).then(() => undefined, codeOf)
      await accused.query('begin transaction read only')
      const refused = await run()
      const xid = refused ? undefined : (await accused.query('select pg_current_xact_id_if_assigned() as xid')).rows[0]?.xid
      await accused.query(refused ? 'rollback' : 'commit')
      if (!refused || refused === READ_ONLY) {
        await run()
        await accused.query('rollback')
      }
      const traces = await compare()
      if (xid) traces.push('transaction number in READ ONLY')
      if (traces.length > 0) await renew()
      return { refused, traces }
    },
    async [Symbol.asyncDispose]() {
      await Promise.all([witness.end(), listener.end(), accused.end()])
      await server.close()
    },
  }
}

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? String(error)
}
