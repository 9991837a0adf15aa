/**
 * Who comes a second time with an idempotency key gets what the first was answered.
 *
 * What breaks: the answer of a write is lost, or its caller, who sends the request again from another process. With plain `pg` the user sees a unique violation of a key table of their
 * own, and has to find the rows. With Thaw the second caller gets the rows of the first, read by the types that it asks for.
 */

import type { Pool, PoolConfig } from '@thaw/pg'
import type pg from 'pg'
import { beforeEach, describe, expect, test } from 'vitest'
import { useSetting } from './setting.ts'

const setting = useSetting()

beforeEach(async () => {
  await setting.server.query(`DROP TABLE IF EXISTS things, thaw_idempotency;
    CREATE TABLE things (id int GENERATED ALWAYS AS IDENTITY, name text, at timestamptz DEFAULT '2026-01-02 03:04:05Z', doc jsonb DEFAULT '{"a":1}', n numeric DEFAULT 12.50, raw bytea DEFAULT '\\x00ff')`)
  await setting.thaw().createIdempotencyTable()
})

const ALL = 'INSERT INTO things (name) VALUES ($1) RETURNING *'
const keyed = (pool: pg.Pool, name: unknown, extra: object = {}) =>
  pool.query({ text: ALL, values: [name], idempotencyKey: 'k', ...extra } as pg.QueryConfig)
const plain = ({ rows, rowCount, command, fields }: pg.QueryResult) => ({ rows, rowCount, command, names: fields.map(({ name }) => name) })
const things = async () => (await setting.server.query('SELECT FROM things')).rowCount

describe('the second caller gets the rows of the first', () => {
  test.each<[string, object]>([
    ['as objects', {}],
    ['as arrays', { rowMode: 'array' }],
    ['as text, by types of its own', { types: { getTypeParser: () => (value: string) => `<${value}>` } }],
    ['of a named statement', { name: 'all' }],
  ])('%s', async (_name, extra) => {
    const first = await keyed(setting.thaw(), 'it', extra)
    const second = await keyed(setting.thaw(), 'it', extra)
    expect(plain(second)).toEqual(plain(first))
    expect(first).not.toHaveProperty('repeated')
    expect(second).toHaveProperty('repeated', true)
    expect([first.command, first.rowCount, await things()]).toEqual(['INSERT', 1, 1])
  })

  test('in binary, where the caller reads in binary', async () => {
    const text = 'INSERT INTO things (name) VALUES ($1) RETURNING id, name'
    const first = await keyed(setting.thaw({ binary: true } as PoolConfig), 'it', { text })
    expect(plain(await keyed(setting.thaw({ binary: true } as PoolConfig), 'it', { text }))).toEqual(plain(first))
    expect(first.rows).toEqual([{ id: 1, name: 'it' }])
  })

  test.each(['', 'a,b', '(")\\', "it's", ' two  ', 'ä\n🐘', 'NULL', null])('whatever is in them: %j', async (value) => {
    const first = await keyed(setting.thaw(), value)
    const second = await keyed(setting.thaw(), value)
    expect(second.rows).toEqual(first.rows)
    expect(second.rows[0].name).toBe(value)
  })

  test.each([
    ['an update', 'UPDATE things SET name = upper(name) WHERE name LIKE $1 RETURNING name, id AS name2', 'UPDATE'],
    ['a deletion', 'DELETE FROM things WHERE name LIKE $1 RETURNING id', 'DELETE'],
    [
      'a merge',
      'MERGE INTO things USING (VALUES ($1)) AS v (name) ON false WHEN NOT MATCHED THEN INSERT (name) VALUES (v.name) RETURNING merge_action()',
      'MERGE',
    ],
    ['a column with a name of ours', 'INSERT INTO things (name) VALUES ($1) RETURNING name, id AS thaw_row', 'INSERT'],
    [
      'with a part in front',
      'WITH v AS (SELECT $1::text AS name) INSERT INTO things (name) SELECT name FROM v RETURNING name; -- so',
      'INSERT',
    ],
    [
      'parts that write',
      "WITH a AS (INSERT INTO things (name) VALUES ($1) RETURNING name), b AS (UPDATE things SET name = name || '!' RETURNING name) SELECT * FROM a UNION ALL TABLE b;",
      'SELECT',
    ],
    [
      'parts that call themselves',
      'WITH RECURSIVE n(i) AS (VALUES (1) UNION ALL SELECT i + 1 FROM n WHERE i < 3) INSERT INTO things (name) SELECT $1 || i FROM n RETURNING name',
      'INSERT',
    ],
    ['a whole table', 'WITH it AS (SELECT $1::text) TABLE it', 'SELECT'],
    ['a function', 'SELECT $1::text || lower($1) AS both, NULL AS nothing', 'SELECT'],
    ['one column that is null', 'SELECT nullif($1::text, $1) AS nothing', 'SELECT'],
  ])('of %s', async (_name, text, command) => {
    await setting.server.query("INSERT INTO things (name) VALUES ('a'), ('b')")
    const first = await keyed(setting.thaw(), '%', { text })
    const second = await keyed(setting.thaw(), '%', { text })
    expect(plain(second)).toEqual(plain(first))
    expect([first.command, first.rows.length > 0]).toEqual([command, true])
  })

  test('of a batch, each of its own statement', async () => {
    const batch = () =>
      setting
        .thaw()
        .batch([{ text: ALL, values: ['one'] }, "UPDATE things SET name = 'two'", 'SELECT name FROM things'], { idempotencyKey: 'b' })
    const first = await batch()
    const second = await batch()
    expect(second.map(({ rows }) => rows)).toEqual(first.map(({ rows }) => rows))
    expect(first[2]?.rows).toEqual([{ name: 'two' }])
    expect(second.map(({ repeated }) => repeated)).toEqual([true, true, true])
  })

  test('of many at once, by several pools', async () => {
    const pools = [setting.thaw({ max: 3 }), setting.thaw({ max: 3 })]
    const all = await Promise.all(Array.from({ length: 12 }, (_, n) => keyed(pools[n % 2] as Pool, 'crowd')))
    expect(new Set(all.map(({ rows }) => rows[0].id)).size).toBe(1)
    expect(await things()).toBe(1)
  })

  test.each(['loseNextRequest', 'loseNextAnswer'] as const)('the first caller itself, whose try was lost (%s)', async (lose) => {
    const lost = setting.proxy[lose]({ containing: 'lost-one' })
    const { rows } = await keyed(setting.thaw(), 'lost-one')
    await lost.struck
    expect(rows).toMatchObject([{ name: 'lost-one', doc: { a: 1 } }])
    expect(await things()).toBe(1)
  })

  test.each(['loseNextRequest', 'loseNextAnswer'] as const)('although the reading of them is lost twice (%s)', async (lose) => {
    const pool = setting.thaw()
    await keyed(pool, 'read')
    // The flight that writes has more in front of that text than the end of a name.
    const lost = [1, 2].map(() => setting.proxy[lose]({ containing: `\0${ALL}` }))
    expect(await keyed(pool, 'read')).toMatchObject({ repeated: true, rowCount: 1, rows: [{ name: 'read' }] })
    await Promise.all(lost.map(({ struck }) => struck))
  })

  test('of a batch, of which one reading is lost', async () => {
    const write = (pool: Pool) => pool.batch([{ text: ALL, values: ['one'] }, 'SELECT name FROM things'], { idempotencyKey: 'b' })
    const first = await write(setting.thaw())
    const lost = setting.proxy.loseNextAnswer({ containing: '\0SELECT name' })
    expect((await write(setting.thaw())).map(({ rows }) => rows)).toEqual(first.map(({ rows }) => rows))
    await lost.struck
  })
})

describe('without the rows, and said so by a rowCount of null', () => {
  const bare = { repeated: true, rows: [], rowCount: null }

  test('where there are none: a statement that returns nothing is sent as it is', async () => {
    const text = 'INSERT INTO things (name) VALUES ($1)'
    expect(await keyed(setting.thaw(), 'x', { text })).toMatchObject({ rowCount: 1, command: 'INSERT' })
    expect(await keyed(setting.thaw(), 'x', { text })).toMatchObject({ ...bare, command: 'INSERT' })
  })

  test.each([
    ['bytes', 'SELECT repeat($1, 70000) AS long'],
    ['rows', 'SELECT n, $1 AS x FROM generate_series(1, 1001) AS n'],
  ])('where they were too many %s', async (_name, text) => {
    const first = await keyed(setting.thaw(), 'x', { text })
    expect(first.rows.length).toBeGreaterThan(0)
    expect(await keyed(setting.thaw(), 'x', { text })).toMatchObject(bare)
  })

  test('behind the first hundred statements of a batch, which writes no more than twice as much for twice as many', async () => {
    const size = async () => Number((await setting.server.query("SELECT pg_total_relation_size('thaw_idempotency') AS n")).rows[0]?.n)
    const batch = (key: string, count: number) =>
      setting.thaw().batch(
        Array.from({ length: count }, (_, n) => ({ text: ALL, values: [`${n}`] })),
        { idempotencyKey: key },
      )
    const empty = await size()
    const first = await batch('some', 150)
    const some = (await size()) - empty
    expect(await batch('more', 300)).toHaveLength(300)
    expect((await size()) - empty - some).toBeLessThan(2 * some)
    const second = await batch('some', 150)
    expect(second.slice(0, 100).map(({ rows }) => rows)).toEqual(first.slice(0, 100).map(({ rows }) => rows))
    for (const result of second.slice(100)) expect(result).toMatchObject(bare)
  })

  test('where those of the statements in front of it have taken the room', async () => {
    const batch = () =>
      setting.thaw().batch(
        [40_000, 30_000, 10_000].map((bytes) => `SELECT repeat('x', ${bytes}) AS long`),
        { idempotencyKey: 'long' },
      )
    await batch()
    expect((await batch()).map(({ rowCount }) => rowCount)).toEqual([1, null, 1])
  })

  test('where the table has changed since', async () => {
    await keyed(setting.thaw(), 'x')
    await setting.server.query('ALTER TABLE things ADD COLUMN more int')
    expect(await keyed(setting.thaw(), 'x')).toMatchObject(bare)
    await setting.server.query('DROP TABLE things')
    expect(await keyed(setting.thaw(), 'x')).toMatchObject(bare)
  })

  test('where as many columns have other names since', async () => {
    await setting.server.query("CREATE TABLE wages (name text, secret text DEFAULT 'S', n int DEFAULT 1)")
    const text = 'INSERT INTO wages (name) VALUES ($1) RETURNING *'
    await keyed(setting.thaw(), 'x', { text })
    await setting.server.query('ALTER TABLE wages DROP COLUMN secret, DROP COLUMN n, ADD COLUMN amount int, ADD COLUMN note text')
    const changed = await keyed(setting.thaw(), 'x', { text })
    await setting.server.query('DROP TABLE wages')
    expect(changed).toMatchObject(bare)
  })

  test('where the table of keys is of before, until it is migrated', async () => {
    await setting.server.query('ALTER TABLE thaw_idempotency DROP COLUMN results')
    expect(await keyed(setting.thaw(), 'x')).toMatchObject({ rowCount: 1, rows: [{ name: 'x' }] })
    expect(await keyed(setting.thaw(), 'x')).toMatchObject(bare)
    expect(await things()).toBe(1)
    await setting.thaw().createIdempotencyTable()
    await keyed(setting.thaw(), 'y', { idempotencyKey: 'after' })
    expect(await keyed(setting.thaw(), 'y', { idempotencyKey: 'after' })).toMatchObject({ repeated: true, rows: [{ name: 'y' }] })
  })
})

test('what may not be wrapped is sent as it is, and errors are those of the user’s own text', async () => {
  const pool = setting.thaw()
  await setting.server.query('CREATE RULE twice AS ON INSERT TO things DO ALSO NOTIFY twice')
  expect(await keyed(pool, 'x')).toMatchObject({ rowCount: 1, command: 'INSERT' })
  await setting.server.query('DROP RULE twice ON things')
  const wrong = 'INSERT INTO things (nonsense) VALUES ($1) RETURNING *'
  const ours = await keyed(pool, 'x', { text: wrong, idempotencyKey: 'w' }).catch((error: pg.DatabaseError) => error)
  const theirs = await setting
    .plain()
    .query(wrong, ['x'])
    .catch((error: pg.DatabaseError) => error)
  expect(ours).toMatchObject({ code: '42703', position: (theirs as pg.DatabaseError).position })
  expect(
    await keyed(pool, 'x', { text: 'INSERT INTO things (name) VALUES ($1) RETURNING 1/(length(name) - 1)', idempotencyKey: 'z' }).catch(
      (error) => error,
    ),
  ).toMatchObject({ code: '22012' })
  expect(await things()).toBe(1)
})

describe('keeping them is no reason to fail', () => {
  const once = (text: string, config: object = {}) => {
    const call = (pool: Pool) => pool.query({ text, idempotencyKey: 'k' })
    return Promise.all([setting.plain().query(text), call(setting.thaw(config)).then(async (first) => [first, await call(setting.thaw())])])
  }

  test.each([
    ['a NUL', '{"a":"x\\u0000y"}'],
    ['half of a character', '{"a":"\\ud800", "\\udc00":1}'],
    ['a backslash in front of such a thing', '{"a":"\\\\u0000"}'],
    ['a key that comes twice', '{"a":1,"a":2}'],
  ])('for JSON in which there is %s', async (_name, doc) => {
    const [plainly, both] = await once(`SELECT '${doc}'::json AS doc, 'so' AS "it's \\u0000 ""named""\n"`)
    for (const result of both) expect(plain(result)).toEqual(plain(plainly))
    const batch = () => setting.thaw().batch([{ text: 'SELECT $1::json AS doc', values: [doc] }], { idempotencyKey: 'b' })
    expect((await batch())[0]?.rows).toEqual((await batch())[0]?.rows)
  })

  test('for a type that cannot be made JSON of', async () => {
    await setting.server.query(`DROP TYPE IF EXISTS mood CASCADE; CREATE TYPE mood AS ENUM ('fine');
      CREATE FUNCTION refused(mood) RETURNS json LANGUAGE plpgsql AS $$ BEGIN RAISE 'no JSON of that'; END $$;
      CREATE CAST (mood AS json) WITH FUNCTION refused(mood)`)
    const [plainly, both] = await once("SELECT 'fine'::mood AS mood")
    for (const result of both) expect(plain(result)).toEqual(plain(plainly))
  })

  test('for rows that take more room on the way than the role may have', async () => {
    const text = 'SELECT repeat(md5(n::text), 100) AS long FROM generate_series(1, 3000) AS n'
    const pool = setting.thaw({ options: '-c work_mem=64kB -c temp_file_limit=1MB' })
    expect((await pool.query({ text, idempotencyKey: 'k' })).rowCount).toBe(3000)
  })

  test('for a table of keys that takes no rows', async () => {
    await setting.server.query('ALTER TABLE thaw_idempotency ADD CHECK (results IS NULL)')
    expect(await keyed(setting.thaw(), 'x')).toMatchObject({ rowCount: 1, rows: [{ name: 'x' }] })
    expect(await keyed(setting.thaw(), 'x')).toMatchObject({ repeated: true, rowCount: null })
  })
})

test('keeping them takes no round trip more', async () => {
  const pool = setting.thaw({ trustMillis: 60_000 })
  await pool.query('SELECT 1')
  const before = setting.proxy.counters.roundTrips
  await keyed(pool, 'counted')
  expect(setting.proxy.counters.roundTrips - before).toBe(1)
})
