import { expect, test } from 'vitest'
import { classifyStatement, mayLeaveSessionState, type Statement } from './statement.ts'

const B = '\\'
const kindOf = (text: string) => classifyStatement(text).kind

test.each([
  'select 1',
  'SELECT 1;',
  ' ;; /* one */ select 1 ; -- and nothing else',
  '(select 1) union all (select 2)',
  'values (1), (2)',
  'table users',
  'show search_path',
  'with a as (select 1) select * from a',
  'with recursive t(n) as (values (1) union all select n + 1 from t), u (a, b) as not materialized (select 1, 2) select * from t, u',
  'explain select 1',
  'explain (analyze, format json) select count(*) from users',
  'explain (select 1)',
  'explain analyze verbose table users',
  'select "insert", "into", t.update, t."delete" from t',
  "select 'insert into t', $$delete$$ /* update */ from t -- merge",
  'select count(*) filter (where a) over (partition by (b) order by (c)) from t',
  'select row_number() over w from t window w as (partition by a)',
  'select pg_catalog.now(), "pg_catalog"."lower"(a), "count"(*) , now /* */ ()',
  'select a::numeric(10, 2), cast(b as varchar(3)), c::character varying(4), d::my.type(3), e::timestamp (3) with time zone',
  'select * from json_to_recordset($1) as t(a int, b text) where t.a in (1) and not exists (select 1)',
  'select * from "users" "u" left join lateral (select 1) "x" on true join (select 2) y using (id)',
  'select * from (values (1, 2)) v(a, b)',
  'select distinct on (a) a, b from t order by a, (b)',
  'select a from t group by rollup (a, b), grouping sets ((a), ())',
  'select (a).*, b[1], c[1:2], "t".* from t',
  "select a - -1, a<-1, a=-1, 1*-1, a->'b'->>'c', a @> b, a <=> b, a || b",
  'select set_config.a, nextval from t',
  'select * from pg_catalog.pg_class c join "pg_catalog"."pg_namespace" n on n.oid = c.relnamespace',
  'select 1 for read only',
  'select current_user, current_date, localtimestamp(3), extract(year from now()), substring(a from 1 for 2), trim(both from a) from t',
  `select 'C:${B}temp', E'it${B}'s' from t`,
  '',
  ' ; -- nothing',
])('%s is a read', (text) => {
  expect(classifyStatement(text)).toMatchObject({ kind: 'read', plainWrite: false, mayCommit: false, sessionState: false })
})

test.each([
  'select nextval($1)',
  'select my_function()',
  'select public.lower(a) from t',
  'select x.pg_catalog.now()',
  'select "coalesce"(a) from t',
  'select "Count"(a) from t',
  'select U&"count"(a) from t',
  'select over(1), is(1)',
  'select distinct on (a) over(1) from t',
  'select join(array[1])',
  'select 1 order by rollup(a)',
  'select pg_notify(a, b)',
  'select "pg_notify" (a, b)',
  'select pg_notify/**/(a, b)',
  `select pg_catalog . pg_notify -- x
   (a, b)`,
  'select a::timestamp with time zone, evil(1)',
  'with a as (select 1) (select 1) order by 1, evil(b)',
  'select * from a, evil(b) as (c int)',
  "select query_to_xml('delete from t', true, true, '')",
  'select txid_current()',
  'select (5).pg_sleep_for, 1',
  "select ('s'::regclass).nextval",
  'select $1.nextval',
  'select a[1].nextval from t',
  'select x.nextval from unnest($1::regclass[]) x',
  'select x . "nextval" from unnest($1::regclass[]) x',
  'select a operator(public.+) b from t',
  `select a OPERATOR ("public".+) evil(b) from t`,
  'select a === b from t',
  'select a @- b from t',
  'select * from t for update',
  'select * from t for no key update',
  'select * from t for share of t',
  'select * from t for /* a */ key share',
  'select * into x from t',
  'select 1 into"x"',
  'select "a"into x from t',
  'with a as (delete from t returning *) select * from a',
  'explain analyze insert into t values (1)',
  'explain insert into t values (1)',
  'select "s".evil(a) from t',
  'select * from t where a = {b}.evil(1)'.replaceAll(/[{}]/g, '"'),
  'show transaction_read_only',
  "select current_setting('transaction_read_only')",
  'copy t to stdout',
  'notify a',
  'lock table t',
  'execute a',
  'create table t (a int)',
  'alter table t add b int',
  'truncate t',
  'declare c cursor for select 1',
  'fetch all from c',
  "select set_config('a', 'b', true)",
  'insert into t values (1)',
])('%s is a write', (text) => {
  expect(kindOf(text)).toBe('write')
})

test.each([
  'insert into t values ($1) returning *',
  "INSERT INTO temp VALUES ('a;b')",
  'update t set a = my_function()',
  '/* x */ delete from t;',
  'merge into t using s on t.a = s.a when matched then delete',
  'with x as (select 1) insert into t select * from x',
  'with x as (delete from a returning *), y(a) as (select 1) update t set a = 1',
])('%s is one plain write', (text) => {
  expect(classifyStatement(text)).toEqual({ kind: 'write', plainWrite: true, mayCommit: false, sessionState: false })
})

test.each([
  'call p()',
  'do $$ begin commit; end $$',
  'vacuum t',
  'create index concurrently i on t (a)',
  'explain analyze delete from t',
  'with x as (delete from t returning *) select * from x',
  'copy t from stdin',
  'insert into t values (1); commit',
  `insert into t values ('a${B}'); commit; --')`,
])('%s is no plain write', (text) => {
  expect(classifyStatement(text).plainWrite).toBe(false)
})

test.each<[text: string, ends: boolean]>([
  ['begin', false],
  ['BEGIN ISOLATION LEVEL SERIALIZABLE', false],
  ['start transaction read only', false],
  ['savepoint a', false],
  ['release a', false],
  ['rollback to a', false],
  ['ROLLBACK WORK TO SAVEPOINT a', false],
  ['set local a = 1', false],
  ['set transaction isolation level serializable', false],
  ['set constraints all deferred', false],
  ['commit', true],
  ['end;', true],
  ['rollback', false],
  ['rollback and chain', false],
  ['abort', false],
  ["prepare transaction 'a'", true],
  ["commit prepared 'a'", true],
  ["rollback prepared 'a'", true],
])('%s controls a transaction. It may end it: %s', (text, mayCommit) => {
  expect(classifyStatement(text)).toEqual({ kind: 'transaction', plainWrite: false, mayCommit, sessionState: false })
})

test.each([
  'call p()',
  'do $$ $$',
  'vacuum',
  'reindex table concurrently t',
  'drop index concurrently i',
  'cluster t',
  'create/**/database a',
  'drop tablespace a',
  'alter system reset all',
  'alter database a set tablespace b',
  'create subscription a connection b publication c',
])('%s may commit before its end', (text) => {
  expect(classifyStatement(text)).toEqual({ kind: 'write', plainWrite: false, mayCommit: true, sessionState: false })
})

const CHANGE_THE_SESSION = [
  'set a = 1',
  'set session a = 1',
  'SET ROLE x',
  'set session characteristics as transaction read only',
  'reset all',
  'listen a',
  'unlisten *',
  'prepare a as select 1',
  'deallocate a',
  'discard all',
  "load 'a'",
  'declare c cursor with hold for select 1',
  'create temp table t (a int)',
  'create or replace temporary view v as select 1',
  'create local temp table t (a int)',
  'create table pg_temp.t (a int)',
  'create function "pg_temp".f() returns int language sql as $$ select 1 $$',
  'select * into temp x from t',
  'select * into pg_temp.x from t',
  'select pg_advisory_lock(1)',
  'select pg_try_advisory_lock_shared(1)',
  'select "pg_advisory_unlock_all"()',
  'select pg_catalog.pg_advisory_lock(1)',
  'select x.pg_advisory_lock from generate_series(1, 2) x',
  "select set_config('a', 'b', false)",
  "update pg_settings set setting = 'b' where name = 'a'",
  'UPDATE ONLY "pg_catalog"."pg_settings" AS s SET setting = $1',
  "select set_config('a', 'b', not true)",
  "select set_config('a', $1, $2)",
  "select set_config('a', lower('b'), true)",
  "select dblink_connect('a', 'b')",
]

test.each(CHANGE_THE_SESSION)('%s changes the session', (text) => {
  const { kind, sessionState, mayCommit } = classifyStatement(text)
  expect({ kind, sessionState, mayCommit }).toEqual({ kind: 'session', sessionState: true, mayCommit: false })
})

const LONG = 'x'.repeat(5_000)

test.each(CHANGE_THE_SESSION)('%s may change the session, at a glance, however long the text', (text) => {
  for (const long of [text, `/* ${LONG} */ ${text}`, `-- ${LONG}\n\t${text}`, `select '${LONG}';${text}`, `${text} -- ${LONG}`]) {
    expect(mayLeaveSessionState(long)).toBe(true)
    expect(mayLeaveSessionState(long.toUpperCase())).toBe(true)
  }
})

test.each([
  'insert into t values ($1) on conflict (id) do update set a = excluded.a',
  'update t set a = $1 where id in ($2)',
  'select a from t order by a limit 10 offset 20',
])('of a long text it is certain that it leaves nothing in the session: %s', (text) => {
  expect(mayLeaveSessionState(text.replace('$1', `'${LONG}'`).replace('limit', `/* ${LONG} */ limit`))).toBe(false)
})

test('a plain write can change the session too', () => {
  expect(classifyStatement('insert into t select pg_advisory_lock(1)')).toEqual({
    kind: 'session',
    plainWrite: true,
    mayCommit: false,
    sessionState: true,
  })
})

test.each([
  'select pg_advisory_xact_lock(1)',
  'insert into temp (a) values (1)',
  'create table temp (a int)',
  'select temp, temporary from t',
  'declare c cursor without hold for select 1',
  'insert into t values ($1) -- set a = 1',
])('%s leaves nothing in the session', (text) => {
  expect(classifyStatement(text).sessionState).toBe(false)
})

test.each<[text: string, sessionState: boolean]>([
  ['select 1; select 2', false],
  ['begin; insert into t values (1); commit', false],
  ['select 1; set a = 1', true],
  ['listen a; select 1;', true],
  ['create function f() returns int begin atomic select 1; select 2; end', false],
  ["select 'a", true],
  ['vakuum', true],
  [`insert into t values ('${B}')`, true],
])('%s is unknown, the worst. It leaves something in the session: %s', (text, sessionState) => {
  expect(classifyStatement(text)).toEqual({ kind: 'unknown', plainWrite: false, mayCommit: true, sessionState })
})

/** What is read in a moment, or hangs: each of these is a million characters. */
test.each<[what: string, text: string]>([
  ['letters', 'a'.repeat(1e6)],
  ['spaces', ' '.repeat(1e6)],
  ['tabs', `select${'\t '.repeat(5e5)}1`],
  ['parentheses', '('.repeat(1e6)],
  ['calls', `select ${'f('.repeat(5e5)}`],
  ['signs', `select 1${'+'.repeat(1e6)}`],
  ['digits', `select ${'1'.repeat(1e6)}`],
  ['digits and a letter', `select ${'1'.repeat(1e6)}a`],
  ['dots', `select a${'.a'.repeat(5e5)}`],
  ['open comments', '/*'.repeat(5e5)],
  ['quotes', `select '${"''".repeat(5e5)}`],
  ['backslashes', `select '${B.repeat(1e6)}'`],
  ['escapes', `select E'${`${B}'`.repeat(5e5)}'`],
  ['dollars', `select ${'$a'.repeat(5e5)}`],
  ['dollar quotes without an end', `select ${Array.from({ length: 1e5 }, (_, index) => `$a${index}$`).join(' ')}`],
  ['names in WITH', `with a as (select 1)${', a(x)'.repeat(2e5)}`],
  ['WITH and INSERT', 'with a) insert'.repeat(7e4)],
  ['CREATE', 'create temp '.repeat(8e4)],
  ['set_config', 'select set_config('.repeat(5e4)],
  ['EXPLAIN options', `explain ${'analyze '.repeat(1e5)}`],
  ['statements', 'select 1;'.repeat(1e5)],
  ['parameters', `insert into t values ${'($1, $2), '.repeat(1e5)}`],
  ['lines', '\n'.repeat(1e6)],
  ['comments', '-- '.repeat(3e5)],
  ['comment lines', '-- \n'.repeat(2e5)],
  ['semicolons and spaces', ';  '.repeat(3e5)],
])('a million characters of %s are no trouble', (_, text) => {
  expect(classifyStatement(text)).toBeDefined()
  expect(mayLeaveSessionState(text)).toBeDefined()
})

test.each<[text: string, asksSettings: Statement['asksSettings']]>([
  ['show statement_timeout', 'only'],
  ['/* mine */ SHOW work_mem', 'only'],
  ['select current_setting($1)', 'only'],
  ["select Current_Setting('a.b', true)::int + 1", 'only'],
  ['select name, setting from pg_settings', 'only'],
  ['select setting from "pg_catalog".pg_settings where name in ($1, $2);', 'only'],
  ['select setting from pg_settings, watched', 'also'],
  ['select setting from pg_settings s where name = $1', 'also'],
  ["select * from orders where tenant = current_setting('app.tenant')", 'also'],
  ['select pg_is_in_recovery()', undefined],
  ['select shown, settings from orders', undefined],
])('settings: %s', (text, asksSettings) => {
  const { kind, ...statement } = classifyStatement(text)
  expect([kind, statement.asksSettings]).toEqual(['read', asksSettings])
})
