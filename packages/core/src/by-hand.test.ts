import { expect, test } from 'vitest'
import { controlsTransaction, mayEndTransaction } from './by-hand.ts'

test.each([
  'select 1; commit',
  'COMMIT AND CHAIN; select 1',
  'select 1; end',
  'rollback; select 1',
  'select 1;rollback work;',
  'select 1; /* ; */ start transaction isolation level serializable',
  "select ';'; prepare transaction 'x'",
  'create function f() returns int language sql begin atomic select 1; end; commit',
])('%s does', (text) => {
  expect(controlsTransaction(text)).toBe(true)
})

test.each([
  'savepoint a; select 1; rollback to a; release a',
  'rollback work to savepoint a; select 1',
  "select 'commit'; select 1",
  'select 1; -- commit\nselect 2',
  'create function f() returns int language sql begin atomic select 1; select case when true then 1 end; end; select 1',
  'do $$begin commit; end$$; select 1',
  'prepare p as select 1; execute p',
  'select "commit"; select 1',
  "select 1; commit 'no end",
])('%s does not', (text) => {
  expect(controlsTransaction(text)).toBe(false)
})

const BACKSLASH = "insert into t values ('C:\\dir\\'); commit; begin"

test('what can be read only if the server has said how does, once it has', () => {
  expect([controlsTransaction(BACKSLASH), controlsTransaction(BACKSLASH, true)]).toEqual([false, true])
})

test.each([
  'select 1; commit',
  'rollback; insert into t values (1)',
  'what is this',
  BACKSLASH,
  "insert into t values ('the end\\')",
  "select 'no end; commit",
  'select 1\0; insert into t values (1)',
  'create function f() returns int begin atomic select 1; end; select 1',
])('%s may end its transaction', (text) => {
  expect(mayEndTransaction(text)).toBe(true)
})

test.each([
  'insert into t values (1); insert into t values (2);',
  'rollback to a; insert into t values (1)',
  'do $$ begin commit; end $$',
  'call p()',
  "insert into t values ('C:\\')",
  "select 'send; ",
  "select ';commit'; select 1",
])('%s does not', (text) => {
  expect(mayEndTransaction(text)).toBe(false)
})

test('a constant that ends in a backslash, where the server has said what that means', () => {
  expect(mayEndTransaction("insert into t values ('the end\\')", true)).toBe(false)
  expect(mayEndTransaction(BACKSLASH, true)).toBe(true)
})
