import { expect, test } from 'vitest'
import { columnsOfRow, rowSourceOf } from './kept-rows.ts'

test.each([
  ['insert into t values ($1) returning id', 'INSERT 0', undefined],
  ['  -- why\n UPDATE t SET a = 1 RETURNING *; ', 'UPDATE', '  -- why\n UPDATE t SET a = 1 RETURNING *'],
  ['delete from t returning id; -- ; all', undefined, undefined],
  ['delete from t returning id; -- all', 'DELETE', 'delete from t returning id'],
  ['with a as (insert into u values (1)) update t set x = 1 returning id', 'UPDATE', undefined],
  ['with "update" as (select 1) select * from "update"', 'SELECT', undefined],
  ['values (1), (2)', 'SELECT', undefined],
  ["select ';' as x", 'SELECT', undefined],
])('%s has rows', (text, tag, bare) => {
  expect(rowSourceOf(text)).toEqual(tag && { tag, text: bare ?? text })
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
