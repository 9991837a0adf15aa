import { expect, test } from 'vitest'
import { columnsOfRow, rowSourceOf } from './kept-rows.ts'

test.each([
  ['insert into t values ($1) returning id', 'INSERT 0', undefined],
  ['  -- why\n UPDATE t SET a = 1 RETURNING *; ', 'UPDATE', '  -- why\n UPDATE t SET a = 1 RETURNING *'],
  ['delete from t returning id; -- ; all', 'DELETE', 'delete from t returning id'],
  ["insert into t values (';') returning id; -- it's ;", 'INSERT 0', "insert into t values (';') returning id"],
  ['select 1;; /* ; /* ; */ */ ;', 'SELECT', 'select 1'],
  [`select 1; -- ${';'.repeat(10_000)}`, undefined, undefined],
  ['delete from t returning id; -- all', 'DELETE', 'delete from t returning id'],
  ['values (1), (2)', 'SELECT', undefined],
  ['table t;', 'SELECT', 'table t'],
  ["select ';' as x", 'SELECT', undefined],
])('%s has rows', (text, tag, bare) => {
  expect(rowSourceOf(text)).toEqual(tag && { tag, text: bare ?? text })
})

test.each([
  ['with a as (insert into u values (1) returning *) ', 'update t set x = 1 returning id', 'UPDATE'],
  ['with "update" as (select 1) ', 'select * from "update"', 'SELECT'],
  [
    '-- select\nWITH RECURSIVE a(b) AS NOT MATERIALIZED (select $q$ ) select $q$), my_select as (table u) /* values */ ',
    'TABLE a',
    'SELECT',
  ],
  ['with a as (select 1) search depth first by b set c ', '-- so\n values (1)', 'SELECT'],
  ["with a as (delete from u where x = E'\\'(' returning 1), ü as (select 1) ", 'insert into t select 1 returning *', 'INSERT 0'],
])('%s%s has its parts in front of it', (parts, text, tag) => {
  const source = rowSourceOf(`${parts}${text};`)
  expect(`${source?.parts}${source?.text}`).toBe(`${parts}${text}`)
  expect(source).toMatchObject({ tag, text: text.replace(/^-- so\n /, '') })
})

test.each([
  'insert into t values (1)',
  'update t set a = (select 1 /* returning */)',
  'insert into t select * from f($$returning$$)',
  'insert into t values (1); select 1 returning',
  'select 1 into t',
  'copy t to stdout',
  'explain select 1',
  "select 'no end",
  'select 1) select (2',
  '',
])('%s has none, or cannot be part of another', (text) => {
  expect(rowSourceOf(text)).toBeUndefined()
})

test.each<[string, readonly (string | null)[]]>([
  ['(1,tea)', ['1', 'tea']],
  ['(1,)', ['1', null]],
  ['(,1)', [null, '1']],
  ['(,)', [null, null]],
  ['()', [null]],
  ['("")', ['']],
  ['("",x)', ['', 'x']],
  ['("a,b","(c)")', ['a,b', '(c)']],
  ['("she said ""no""","back\\\\slash")', ['she said "no"', 'back\\slash']],
  ['("{""a"": 1}",2)', ['{"a": 1}', '2']],
])('the row %s', (row, columns) => {
  expect(columnsOfRow(row)).toEqual(columns)
})
