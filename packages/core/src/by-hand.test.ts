import { expect, test } from 'vitest'
import { controlsTransaction } from './by-hand.ts'

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
