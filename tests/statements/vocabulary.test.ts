/** What core believes about PostgreSQL's functions, operators and keywords, asked of PostgreSQL. */

import { classifyStatement, GRAMMAR_WORDS, HARMLESS_FUNCTIONS, HARMLESS_OPERATORS } from '@thaw/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Court, openCourt, READ_ONLY } from './court.ts'

let court: Court
beforeAll(async () => {
  court = await openCourt()
})
afterAll(() => court[Symbol.asyncDispose]())

/** Volatile, for it has another answer each time, and harmless. */
const VOLATILE: Readonly<Record<string, string>> = {
  clock_timestamp: 'the clock',
  gen_random_uuid: 'chance',
  uuidv7: 'the clock and chance',
  random: 'chance; its state belongs to the session, and no statement reads it back',
  pg_sleep: 'waits',
  current_query: 'its own text',
  pg_is_in_recovery: 'changes when a standby is promoted',
  pg_relation_size: 'asks the file system',
  pg_table_size: 'asks the file system',
  pg_indexes_size: 'asks the file system',
  pg_total_relation_size: 'asks the file system',
  pg_database_size: 'asks the file system',
}

interface Overload {
  readonly name: string
  readonly kind: string
  readonly volatile: boolean
  readonly types: readonly string[]
}

async function overloads(): Promise<Overload[]> {
  const { rows } = await court.server.query<Overload>(
    `select proname as name, prokind as kind, provolatile = 'v' as volatile,
            array(select type::regtype::text from unnest(proargtypes::oid[]) with ordinality as a(type, n) order by n) as types
     from pg_proc where pronamespace = 'pg_catalog'::regnamespace and proname = any ($1) order by oid`,
    [[...HARMLESS_FUNCTIONS]],
  )
  return rows
}

test('every harmless function is one of pg_catalog', async () => {
  const known = new Set((await overloads()).map(({ name }) => name))
  expect([...HARMLESS_FUNCTIONS].filter((name) => !known.has(name))).toEqual([])
})

test('each of its overloads is immutable or stable, or volatile for a known reason', async () => {
  const volatile = new Set((await overloads()).filter((overload) => overload.volatile).map(({ name }) => name))
  expect([...volatile].sort()).toEqual(Object.keys(VOLATILE).sort())
})

test('none of its names could be made of one that is not ASCII', () => {
  const words = [...HARMLESS_FUNCTIONS, ...GRAMMAR_WORDS]
  expect(words.filter((word) => !/^[a-z][a-z0-9]*(?:_[a-z0-9]+)*$/.test(word))).toEqual([])
})

test('the words of the grammar can be given to no function', async () => {
  const { rows } = await court.server.query<{ word: string }>(`select word from pg_get_keywords() where catcode in ('R', 'C')`)
  const reserved = new Set(rows.map(({ word }) => word))
  expect([...GRAMMAR_WORDS].filter((word) => !reserved.has(word))).toEqual([])
})

/** Spelled as none of PostgreSQL's own: `!=` and `=>` by the grammar, the rest by extensions. */
const SPELLED_BY_OTHERS = ['!=', '=>', '<%', '%>', '<<%', '%>>', '<=>', '<#>', '<+>']

test('every harmless operator is one of PostgreSQL, and none of these is volatile', async () => {
  const { rows } = await court.server.query<{ name: string; volatile: boolean }>(
    `select distinct oprname as name, provolatile = 'v' as volatile from pg_operator o join pg_proc p on p.oid = oprcode
     where oprnamespace in ('pg_catalog'::regnamespace, 'public'::regnamespace) and oprname = any ($1)`,
    [[...HARMLESS_OPERATORS]],
  )
  const own = rows.map(({ name }) => name)
  expect(rows.filter(({ volatile }) => volatile)).toEqual([])
  expect([...HARMLESS_OPERATORS].filter((name) => !own.includes(name) && !SPELLED_BY_OTHERS.includes(name))).toEqual([])
})

test('what has an effect and one argument is not called by a dot either', async () => {
  const { rows } = await court.server.query<{ name: string }>(
    `select distinct proname as name from pg_proc where pronamespace = 'pg_catalog'::regnamespace and provolatile = 'v' and prokind = 'f'
     and pronargs >= 1 and pronargs - pronargdefaults <= 1 and not (0 || proargtypes::oid[] @> array['internal'::regtype::oid])`,
  )
  const called = rows.map(({ name }) => name).filter((name) => classifyStatement(`select x.${name} from x`).kind === 'read')
  // Chance, and what checks itself; currval and txid_status only ask.
  expect(called.sort()).toEqual(['amvalidate', 'array_shuffle', 'currval', 'plpgsql_validator', 'random_normal', 'txid_status', 'uuidv7'])
})

/** A value for each type that a harmless function takes. Small, and a pg_sleep of no length. */
const VALUES: Readonly<Record<string, string>> = {
  '"any"': '1',
  anyarray: "'{1,2}'::int[]",
  anycompatible: '1',
  anycompatiblearray: "'{1,2}'::int[]",
  anyelement: '1',
  anyenum: 'null::shop.mood',
  anynonarray: '1',
  anyrange: "'[1,2)'::int4range",
  anymultirange: "'{[1,2)}'::int4multirange",
  'double precision': '0.01',
  record: 'row(1)',
  regclass: "'shop.users'::regclass",
  regconfig: "'english'::regconfig",
  text: "'a'",
  json: `'[{"a": 1}]'`,
  jsonb: `'[{"a": 1}]'`,
  jsonpath: "'$[*]'",
  'text[]': "'{a,b}'::text[]",
  'double precision[]': "'{0.5}'::float8[]",
}

test('called, they leave no trace', async () => {
  const calls = (await overloads()).map(({ name, kind, types }) => {
    const args = types.map((type) => VALUES[type] ?? `${literal(type)}::${type}`).join(', ')
    return `select pg_catalog."${name}"(${args})${kind === 'w' ? ' over ()' : ''} from shop.users limit 2`
  })
  let ran = 0
  for (const text of new Set(calls)) {
    expect([text, classifyStatement(text).kind]).toEqual([text, 'read'])
    const { refused, traces } = await court.try(text)
    expect([text, traces]).toEqual([text, []])
    expect([text, refused]).not.toEqual([text, READ_ONLY])
    if (!refused) ran++
  }
  console.log(`${ran} of ${calls.length} overloads of ${HARMLESS_FUNCTIONS.size} functions called`)
  expect(ran).toBeGreaterThan(400)
}, 120_000)

function literal(type: string): string {
  if (/\[\]$|vector$/.test(type)) return "'{}'"
  if (/multirange$/.test(type)) return "'{}'"
  if (/range$/.test(type)) return "'empty'"
  if (/time|date/.test(type)) return "'2020-01-01 10:00'"
  if (type === 'interval') return "'1 day'"
  if (/bytea/.test(type)) return "'\\x01'"
  if (/inet|cidr/.test(type)) return "'10.0.0.0/8'"
  if (/point/.test(type)) return "'(0,0)'"
  if (/bit/.test(type)) return "'1'"
  if (type === 'boolean') return "'true'"
  if (/char|name/.test(type)) return "'a'"
  return "'1'"
}
