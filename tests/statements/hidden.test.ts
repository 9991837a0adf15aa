/**
 * What no text shows: things of the user's own whose reading has an effect. The lexer takes these for reads, because it cannot know better. The second guard
 * is the READ ONLY transaction in which a read is repeated: there nothing can be written.
 */

import { classifyStatement } from '@thaw/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Court, openCourt, READ_ONLY } from './court.ts'

let court: Court
beforeAll(async () => {
  court = await openCourt()
  await court.server.query(HIDDEN)
  // The court has seen the shop before these were there.
  await court.try('select 1')
})
afterAll(() => court[Symbol.asyncDispose]())

const HIDDEN = `
set search_path = shop, public;
create view spying as select u.*, write_down('view') as written from users u;
create function lower(users) returns int language sql as $$ select shop.write_down('an overload of lower') $$;
create function written(users) returns int language sql as $$ select shop.write_down('a column that is a function') $$;
create function add(users, int) returns int language sql as $$ select shop.write_down('an operator') $$;
create operator + (leftarg = users, rightarg = int, function = add);
create domain word as text check (write_down('a domain') > 0);
create type pair as (a int, b int);
create function pair_to_int(pair) returns int language sql as $$ select shop.write_down('a cast') $$;
create cast (pair as int) with function pair_to_int(pair)`

test.for([
  ['a view', 'select * from spying'],
  ['an overload of a function of PostgreSQL', 'select lower(u) from users u'],
  ['a function that is called as a column', 'select u.written from users u'],
  ['an operator for a type of the user', 'select u + 1 from users u'],
  ['the check of a domain', "select 'x'::word"],
  ['a cast', 'select row(1, 2)::pair::int'],
] as const)('%s that writes is not seen, and not repeated: %s', async ([, text]) => {
  expect(classifyStatement(text).kind).toBe('read')
  const { refused, traces } = await court.try(text)
  expect(refused).toBe(READ_ONLY)
  // Sent as it is, it writes.
  expect(traces).toContain('rows')
})
