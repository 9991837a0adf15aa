/** Reads as applications send them: what the lexer must recognise to be of use. They run in the shop of `schema.ts`. */

export type Asked = readonly [text: string, ...values: unknown[]]

export const PRISMA: readonly Asked[] = [
  ['SELECT 1'],
  [
    'SELECT "shop"."User"."id", "shop"."User"."firstName" FROM "shop"."User" WHERE ("shop"."User"."id" = $1 AND 1=1) LIMIT $2 OFFSET $3',
    1,
    1,
    0,
  ],
  [
    'SELECT "shop"."orders"."id", "shop"."orders"."total"::numeric FROM "shop"."orders" WHERE "shop"."orders"."user_id" IN ($1,$2) ORDER BY "shop"."orders"."id" ASC OFFSET $3',
    1,
    2,
    0,
  ],
  ['SELECT COUNT(*) AS "_count$_all" FROM (SELECT "shop"."orders"."id" FROM "shop"."orders" WHERE 1=1 OFFSET $1) AS "sub"', 0],
  [
    'SELECT COUNT("shop"."orders"."id") AS "_count$id", AVG("shop"."orders"."total") AS "_avg$total", "shop"."orders"."user_id" FROM "shop"."orders" WHERE 1=1 GROUP BY "shop"."orders"."user_id" HAVING COUNT("shop"."orders"."id") > $1 OFFSET $2',
    0,
    0,
  ],
  [
    `SELECT "t1"."id", "t1"."firstName", "User_orders"."__prisma_data__" AS "orders" FROM "shop"."User" AS "t1"
     LEFT JOIN LATERAL (SELECT COALESCE(JSONB_AGG("__prisma_data__"), '[]') AS "__prisma_data__" FROM (SELECT "t4"."__prisma_data__" FROM (
       SELECT JSONB_BUILD_OBJECT('id', "t3"."id", 'total', "t3"."total") AS "__prisma_data__" FROM (
         SELECT "t2".* FROM "shop"."orders" AS "t2" WHERE "t1"."id" = "t2"."user_id" /* root select */) AS "t3" /* inner select */) AS "t4" /* middle select */) AS "t5" /* outer select */
     ) AS "User_orders" ON TRUE WHERE "t1"."id" = $1 LIMIT $2`,
    1,
    1,
  ],
  [
    `SELECT "t1"."id", (SELECT COUNT(*) FROM "shop"."orders" AS "t0" WHERE "t0"."user_id" = "t1"."id") AS "_aggr_count_orders" FROM "shop"."users" AS "t1" WHERE ("t1"."name"::text ILIKE $1 OR "t1"."tags" @> $2 OR ("t1"."data"#>ARRAY[$3]::text[])::jsonb::jsonb IS NOT NULL)`,
    '%a%',
    '{a}',
    'a',
  ],
  ['SELECT version()'],
  [
    `SELECT tbl.relname AS table_name, namespace.nspname as namespace, (tbl.relhassubclass and tbl.relkind = 'p') as is_partition, reloptions, obj_description(tbl.oid, 'pg_class') as description
     FROM pg_class AS tbl INNER JOIN pg_namespace AS namespace ON namespace.oid = tbl.relnamespace WHERE ( tbl.relkind = 'r' AND tbl.relispartition = 't' OR tbl.relkind = 'p') AND namespace.nspname = ANY ( $1 ) ORDER BY namespace, table_name`,
    '{shop}',
  ],
  [
    "SELECT EXISTS(SELECT 1 FROM pg_namespace WHERE nspname = $1), version(), current_setting('server_version_num')::integer as numeric_version",
    'shop',
  ],
]

export const TYPEORM: readonly Asked[] = [
  [
    'SELECT "user"."id" AS "user_id", "user"."name" AS "user_name" FROM "users" "user" LEFT JOIN "orders" "order" ON "order"."user_id"="user"."id" WHERE "user"."id" = $1 AND ("user"."email" IS NOT NULL) ORDER BY "user"."created_at" DESC NULLS LAST LIMIT 10',
    1,
  ],
  [
    'SELECT DISTINCT "distinctAlias"."user_id" AS "ids_user_id" FROM (SELECT "user"."id" AS "user_id" FROM "users" "user" INNER JOIN "orders" "o" ON "o"."user_id"="user"."id") "distinctAlias" ORDER BY "user_id" ASC LIMIT 1',
  ],
  [
    'SELECT COUNT(DISTINCT("user"."id")) AS "cnt" FROM "users" "user" WHERE (("user"."name" ILIKE $1) AND ("user"."tags" && ARRAY[$2]))',
    'a%',
    'a',
  ],
  [
    'SELECT 1 AS "row_exists" FROM (SELECT 1 AS dummy_column) "dummy_table" WHERE EXISTS (SELECT 1 FROM "users" "user" WHERE (("user"."id" = ANY($1)))) LIMIT 1',
    [1],
  ],
  ['SELECT * FROM current_schema()'],
  ['SELECT * FROM "information_schema"."tables" WHERE "table_schema" = \'shop\' AND "table_name" = \'typeorm_metadata\''],
  [
    'SELECT "o"."id", SUM("o"."total") OVER (PARTITION BY "o"."user_id" ORDER BY "o"."placed_at") AS "running" FROM "shop"."orders" "o" WHERE "o"."placed_at" BETWEEN $1 AND $2',
    '2000-01-01',
    '2100-01-01',
  ],
]

/** Knex, Sequelize, MikroORM, ActiveRecord by way of a shared database, and what people write themselves. */
export const OTHERS: readonly Asked[] = [
  [
    'select "u".*, "o"."total" from "users" as "u" inner join "orders" as "o" on "u"."id" = "o"."user_id" where "u"."id" in ($1, $2) limit $3',
    1,
    2,
    3,
  ],
  ['select count("id") as "CNT", max("created_at") from "users" where not "name" is null and ("id" > 0 or "id" < $1)', 5],
  ['SELECT count("User"."id") AS "count" FROM "shop"."User" AS "User" WHERE ("User"."firstName" LIKE \'A%\' AND "User"."id" != 5);'],
  [
    'SELECT "id", "name", CASE WHEN "email" IS NULL THEN \'none\' ELSE "email" END AS "mail" FROM "users" AS "user" ORDER BY "user"."id" DESC FETCH FIRST 3 ROWS ONLY',
  ],
  [
    'select "u0".*, (select count(*) from "orders" as "o0" where "o0"."user_id" = "u0"."id") as "orders" from "users" as "u0" where "u0"."data"->>\'a\' is not null',
  ],
  ['SELECT 1 AS one FROM "users" WHERE "users"."email" = $1 LIMIT $2 /* app:shop,controller:users */', 'ada@x', 1],
  [
    'SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull, col_description(a.attrelid, a.attnum) AS comment FROM pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum WHERE a.attrelid = \'"users"\'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum',
  ],
  ['select * from users where id = $1', 1],
  ['SELECT now()'],
  ["select now()::text, current_timestamp, current_date - interval '1 day', localtimestamp (3) at time zone 'UTC'"],
  [
    "select date_trunc('day', placed_at) as day, count(*) filter (where total > 10), sum(total)::float8 from orders group by 1 order by 1 desc",
  ],
  [
    "select to_char(placed_at, 'YYYY-MM') m, round(avg(total), 2), percentile_cont(0.5) within group (order by total) from orders group by m having count(*) > 0",
  ],
  [
    'with recursive up as (select id, parent from tree where id = $1 union all select t.id, t.parent from tree t join up on t.id = up.parent) select * from up',
    3,
  ],
  [
    'WITH RECURSIVE up(id, depth) AS (SELECT id, 0 FROM tree WHERE parent IS NULL UNION ALL SELECT t.id, up.depth + 1 FROM tree t, up WHERE t.parent = up.id), deep(n) AS MATERIALIZED (SELECT max(depth) FROM up) SELECT * FROM deep',
  ],
  [
    'select id, row_number() over (partition by user_id order by total desc) as rank, lag(total, 1) over w from orders window w as (order by id)',
  ],
  ['select distinct on (user_id) user_id, id, total from orders order by user_id, placed_at desc'],
  [
    "select u.id, coalesce(json_agg(json_build_object('id', o.id, 'total', o.total) order by o.id) filter (where o.id is not null), '[]') as orders from users u left join orders o on o.user_id = u.id group by u.id",
  ],
  [
    "select * from users where data @> $1::jsonb and data ? 'a' and data #>> '{a,b}' is not null and jsonb_array_length(data->'a'->'b') > 1",
    '{}',
  ],
  ['select t.x, e.value from unnest($1::int[]) with ordinality as t(x, n) cross join lateral jsonb_each_text(\'{"a": 1}\') e', [1, 2]],
  ['select * from json_to_recordset($1) as r(a int, b numeric(10, 2), c varchar(3), d timestamp with time zone)', '[{"a": 1}]'],
  ["select * from (values (1, 'a'), (2, 'b')) as v(id, name) where (id, name) in ((1, 'a'))"],
  ['select * from users u join (values (1), (2)) as v(id) using (id)'],
  ['select generate_series(1, 3) union select 4 except all select 2 intersect select 3'],
  ['(select id from users order by id limit 1) union all (select id from orders order by id limit 1)'],
  [
    "select string_agg(name, ', ' order by name) from users where name ~* '^a' and email like '%@x' escape '!' and created_at > now() - $1::interval",
    '1 day',
  ],
  ['select * from users where lower(email) = lower($1) and (id, name) > ($2, $3) order by id, name limit 20', 'ADA@x', 0, ''],
  ['select exists (select from users where id = 1), not exists (table orders), 1 = any (array[1, 2]), 2 = all (select 2)'],
  [
    "select extract(epoch from placed_at), date_part('year', placed_at), age(placed_at), substring('abc' from 2 for 1), position('b' in 'abc'), trim(both ' ' from ' a '), overlay('abc' placing 'x' from 1 for 1) from orders",
  ],
  [
    "select cast(total as varchar(20)), total::character varying(4), cast('1' as bit(3)), total::numeric(10, 1), 'x'::char(2), interval '1' day, date '2020-01-01', timestamp '2020-01-01', '{1}'::int[] from orders",
  ],
  ['select user_id, sum(total), grouping(user_id) from orders group by rollup (user_id)'],
  ['select user_id, id, sum(total) from orders group by grouping sets ((user_id), (id), ())'],
  [
    "select ts_rank(to_tsvector('english', name), q) from users, websearch_to_tsquery('english', $1) q where to_tsvector('english', name) @@ q",
    'ada',
  ],
  [
    "select nullif(name, ''), greatest(1, 2), least(1, 2), concat(name, 1), name || 'x', length(name), upper(name), md5(name), -id, +id, id % 2, id ^ 2, @ -5, id & 1 from users",
  ],
  [
    "select json_object('a': 1), json_array(1, 2), json_value('{\"a\": 1}', '$.a' returning int), j.* from json_table('[{\"a\": 1}]', '$[*]' columns (a int path '$.a')) j",
  ],
  ['select (u).*, u from users u'],
  ['select tags[1], tags[1:2], array[[1, 2], [3, 4]], array(select id from users order by id), cardinality(tags) from users'],
  ['select gen_random_uuid(), random(), clock_timestamp(), pg_backend_pid(), pg_is_in_recovery()'],
  ["select pg_size_pretty(pg_total_relation_size('shop.users')), pg_relation_size('users'::regclass)"],
  ['select row_to_json(u) from (select id, name from users) u'],
  ["select row(1, 2), row_to_json(row(1, 2)), (1, 2) = (1, 2), (placed_at, interval '1 day') overlaps (now(), now()) from orders"],
  ["select current_user, session_user, current_schema(), current_database(), current_setting('search_path'), user"],
  ['select current_query()'],
  ['show server_version'],
  ['SHOW TRANSACTION ISOLATION LEVEL'],
  ['SHOW ALL'],
  ['table users'],
  ["values (1, 'one'), (2, 'two') order by 1 desc"],
  ['explain select * from users where id = 1'],
  ['EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM users u JOIN orders o ON o.user_id = u.id'],
  ['explain analyze verbose with a as (select 1) select * from a'],
  ['select 1 -- one;\n;'],
  ['/* hint */ select /*+ SeqScan(u) */ * from users u;'],
  [
    "select 'it''s; delete from users', \"name\" as \"delete from users; --\", $$drop table users; $$, $fn$ select nextval('numbers') $fn$ from users",
  ],
  ["select E'it\\'s', U&'d\\0061t', N'x', B'101', X'1F', e'\\\\' as \"insert\""],
  ['select id as "update", name as "into", u."name" as merge_name from users u where u.name <> \'insert into\''],
  ['select 1.5e-3, .5, 1e10, 0xFF, 1_000, 1 as é, \'\u212A\' as "\u212A"'],
  ['select a - -1, a<-1, a=-1, 1*-1 from (select 1 as a) x, lateral (select 1) y(b)'],
  ['select * from users tablesample_name where true is not false and 1 is distinct from 2 and null is null'],
  ['select name collate "C" from users order by name collate "C" nulls first'],
  ['select make_interval(days => 1), make_date(2020, 1, 1), width_bucket(1, 0, 10, 5)'],
  [''],
  ['-- nothing'],
]
