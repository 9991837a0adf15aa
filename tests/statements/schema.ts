/** A small shop, and beside its tables everything that looks harmless and is not: the traps. */

/** Functions of the user's own that ring the bell, named for what the grammar, or PostgreSQL, has of that name. */
const TRAPS = [
  ...['bell', 'over', 'filter', 'is', 'join', 'rollup', 'cube', 'by', 'sets', 'zone', 'varying', 'recursive', 'materialized', 'partition'],
  ...['coalesce', 'row', 'values', 'all', 'in', 'as', 'with', 'select', 'Count', 'lower ', 'évil', 'zoné', 'ranK', 'a.b', 'like'],
]

export const SCHEMA: string = `
create schema shop;
alter database postgres set search_path = shop, public;
set search_path = shop, public;
create table users (id int primary key, name text, email text, tags text[] default '{}', data jsonb default '{}', created_at timestamptz default now());
create table orders (id int primary key, user_id int references users, total numeric(10, 2), placed_at timestamptz default now());
create table "User" (id int primary key, "firstName" text);
create table ledger (entry text);
create table lines (n serial, line text);
create table tree (id int, parent int);
create table spare (a int);
create sequence numbers;
create type mood as enum ('good', 'bad');
create extension pg_trgm schema public;
insert into users (id, name, email, tags, data) values (1, 'Ada', 'ada@x', '{a,b}', '{"a": {"b": [1, 2]}}'), (2, 'Bob', 'bob@x', '{}', '{}'), (3, 'Cy', null, null, null);
insert into orders (id, user_id, total) values (1, 1, 10), (2, 1, 20.5), (3, 2, 5);
insert into "User" values (1, 'Ada');
insert into tree values (1, null), (2, 1), (3, 2);

create function ring(text) returns int language plpgsql as $$ begin perform pg_notify('bell', $1); return 1; end $$;
${TRAPS.map((name) => `create function "${name}"(variadic int[] default '{}') returns int language sql as $$ select shop.ring('trap') $$;`).join('\n')}
create function ring_int(int, int) returns int language sql as $$ select shop.ring('operator') $$;
create function ring_one(int) returns int language sql as $$ select shop.ring('operator') $$;
create operator === (leftarg = int, rightarg = int, function = ring_int);
create operator @- (rightarg = int, function = ring_one);
create operator <| (leftarg = int, rightarg = int, function = ring_int);
create function write_down(text) returns int language sql as $$ insert into shop.ledger values ($1) returning 1 $$;
create function note() returns trigger language plpgsql as $$ begin insert into shop.ledger values ('trigger'); return new; end $$;
create trigger note after insert on lines for each row execute function note();
create rule note as on delete to lines do also insert into ledger values ('rule');
create procedure keep() language sql as $$ insert into shop.ledger values ('procedure') $$;
select lo_create(4711);
`
