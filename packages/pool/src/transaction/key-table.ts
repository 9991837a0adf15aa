/** The table of idempotency keys: its SQL, which its user runs, and what is asked of it. */

import type { RowSource } from '@thaw/core'
import { WAITS } from '../connection/known-backend.ts'
import { tagging } from './flight-tag.ts'

/** Its name. It is looked for in the `search_path`, as any other table. */
export const KEY_TABLE = 'thaw_idempotency'
/** How old a key may be that carries its time (UUIDv7), when it comes for the first time. What is older is refused, so forgetting it is safe. */
const KEY_DAYS = 7
/** Kept for a day more: the clock that made the key may be late. */
const FORGET_DAYS = KEY_DAYS + 1
const NOT_EXPIRED = `${KEY_TABLE}_not_expired`

/** Of the advisory lock of those who make the table: "thaw", in ASCII. */
const MAKERS = 0x74686177

/**
 * The table of idempotency keys, for a migration, or for `pool.query()`. Running it again does no harm, also by many at once: where all of it is there nothing is locked, and no right is needed.
 *
 * A key that is a UUIDv7 carries its time: it is refused when it is more than seven days old, and its row is deleted after eight, by writes that come later. Rows of other keys
 * are kept until you delete them: `delete from thaw_idempotency where stored_at < now() - interval '90 days'`, if no key of that age can come again.
 */
export const IDEMPOTENCY_SQL: string = `DO $thaw$
DECLARE
  -- Where CREATE TABLE puts it.
  here text := quote_ident(current_schema()) || '.';
BEGIN
  -- What IF NOT EXISTS finds it has locked before: behind one slow write all others would wait.
  IF to_regclass(here || '${KEY_TABLE}_key_time') IS NOT NULL AND EXISTS (
    SELECT FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass(here || '${KEY_TABLE}') AND attname = 'results'
  ) THEN
    RETURN;
  END IF;
  -- One at a time: of those that come at once it fails for all but one.
  PERFORM pg_advisory_xact_lock(${MAKERS});
  IF to_regclass(here || '${KEY_TABLE}') IS NULL THEN
    CREATE TABLE IF NOT EXISTS ${KEY_TABLE} (
      key text PRIMARY KEY CHECK (length(key) BETWEEN 1 AND 255),
      -- Of the statement and its values: the same key with others is refused.
      fingerprint text NOT NULL,
      -- done: stored together with its write. void: a tombstone, which what comes late runs into.
      state text NOT NULL CHECK (state IN ('done', 'void')),
      generation integer NOT NULL DEFAULT 1,
      -- The time in the key, if it has one.
      key_time timestamptz,
      stored_at timestamptz NOT NULL DEFAULT now(),
      -- The rows that the write has returned, for a caller that comes again with its key.
      results jsonb,
      CONSTRAINT ${NOT_EXPIRED} CHECK (key_time IS NULL OR key_time > stored_at - interval '${KEY_DAYS} days')
    );
    COMMENT ON TABLE ${KEY_TABLE} IS 'Idempotency keys of Thaw. Keys that carry their time (UUIDv7) live ${KEY_DAYS} days.';
  END IF;
  IF NOT EXISTS (SELECT FROM pg_catalog.pg_attribute WHERE attrelid = to_regclass(here || '${KEY_TABLE}') AND attname = 'results') THEN
    ALTER TABLE ${KEY_TABLE} ADD COLUMN IF NOT EXISTS results jsonb;
  END IF;
  IF to_regclass(here || '${KEY_TABLE}_key_time') IS NULL THEN
    CREATE INDEX IF NOT EXISTS ${KEY_TABLE}_key_time ON ${KEY_TABLE} (key_time) WHERE key_time IS NOT NULL;
  END IF;
END
$thaw$;
`

/** Stored with the write or not at all. Fails if the key is taken. */
export const CLAIM: string = claim("'done'")
/** The same, by which its backend is found again. */
export const TAGGED_CLAIM: string = claim(`CASE WHEN ${tagging(4)} THEN 'done' END`)

function claim(state: string): string {
  return `INSERT INTO ${KEY_TABLE} (key, fingerprint, state, key_time) VALUES ($1, $2, ${state}, to_timestamp($3::float8 / 1000))`
}

/** Fails, by a division by zero, unless the tombstone is there and of that generation: what fails takes the write with it. */
export const TAKE_OVER: string = takeOver('')
export const TAGGED_TAKE_OVER: string = takeOver(` AND ${tagging(4)}`)

function takeOver(tagged: string): string {
  return `WITH taken AS (UPDATE ${KEY_TABLE} SET state = 'done', stored_at = now() WHERE key = $1 AND fingerprint = $2 AND state = 'void' AND generation = $3::int${tagged} RETURNING 1)
SELECT 1 / (SELECT count(*) FROM taken)::int AS taken`
}
/** https://www.postgresql.org/docs/current/errcodes-appendix.html */
export const NOT_TAKEN = '22012'

/** How long a tombstone waits for the key's row: less than its question waits for the answer, so that no session is left behind at the server. */
const TOMBSTONE_MILLIS = 2_500
/** PostgreSQL's lock_not_available: another session still holds the key's row. */
export const ROW_HELD = '55P03'

/** Waits for a transaction that is about to store the key. A row comes back where it was not stored, and from now on never will be; none where it was. The bound holds for this one statement. What is stored is not touched: locking it would make this wait for the replicas. */
export const TOMBSTONE: string = `INSERT INTO ${KEY_TABLE} AS it (key, fingerprint, state, key_time)
SELECT $1::text, $2::text, CASE WHEN set_config('lock_timeout', '${TOMBSTONE_MILLIS}', true) IS NOT NULL THEN 'void' END, to_timestamp($3::float8 / 1000)
WHERE NOT EXISTS (SELECT 1 FROM ${KEY_TABLE} WHERE key = $1 AND state = 'done')
ON CONFLICT (key) DO UPDATE SET generation = it.generation + 1 WHERE it.state = 'void'
RETURNING fingerprint, state, generation::text`

/** Also on a table that was made before it kept results. */
export const LOOK: string = `SELECT fingerprint, state, generation::text, to_jsonb(it) ->> 'results' AS results, ${WAITS} FROM ${KEY_TABLE} AS it WHERE key = $1`

/** In all schemas. */
export const COUNT_TABLES: string = `SELECT count(*)::text AS n FROM pg_catalog.pg_class WHERE relname = '${KEY_TABLE}' AND relkind IN ('r', 'p', 'v', 'f')`

/** So many rows are kept of one statement, or none of them: a table of keys is no place for more. */
const MOST_KEPT_ROWS = 1_000
/** Of all that is kept under one key. Each statement that keeps rows writes the key's row anew, with what the ones before it have kept. */
const MOST_KEPT_BYTES = 65_536

/**
 * A statement, and keeping its rows, as one. What refers to `thaw_rows` reads the rows that there are: the statement itself runs once. Nothing of ours is a parameter: should there be
 * fewer values than the statement wants, it would be taken for one of them. `thaw_row.*`: a column may
 * have the name of a row of ours. The names of the columns are read off a row in which all is null: not every value can be made JSON of, and not all JSON is read again.
 */
export function keepRows({ parts, text }: RowSource, key: string, place: number): string {
  return `${
    parts
      ? `${parts}
,`
      : 'WITH'
  } thaw_rows AS (
${text}
), thaw_few AS (SELECT (thaw_row.*)::text AS it FROM thaw_rows AS thaw_row LIMIT ${MOST_KEPT_ROWS + 1}
), thaw_kept AS (UPDATE ${KEY_TABLE} SET results = coalesce(results, '{}') || jsonb_build_object('${place}', (SELECT coalesce(jsonb_agg(it), '[]') FROM thaw_few),
    '${namesOf(place)}', (SELECT jsonb_agg(it) FROM (SELECT json_object_keys(row_to_json(thaw_row.*)) AS it FROM (SELECT thaw_rows.* FROM (VALUES (1)) AS thaw_one LEFT JOIN thaw_rows ON false) AS thaw_row) AS thaw_names))
  WHERE key = ${literal(key)} AND (SELECT count(*) <= ${MOST_KEPT_ROWS} AND coalesce(sum(octet_length(it)), 0) + coalesce(octet_length(results::text), 0) <= ${MOST_KEPT_BYTES} FROM thaw_few))
SELECT * FROM thaw_rows`
}

/** Where the names of a statement's columns are kept: a later migration may give its rows as many columns that mean something else. */
export const namesOf = (place: number): string => `names of ${place}`

/** Whatever `standard_conforming_strings` says. */
function literal(text: string): string {
  const quoted = text.replace(/'/g, "''")
  return quoted.includes('\\') ? `E'${quoted.replace(/\\/g, '\\\\')}'` : `'${quoted}'`
}

/** A few at a time, passing over what others are deleting. */
export const FORGET: string = `DELETE FROM ${KEY_TABLE} WHERE key IN (SELECT key FROM ${KEY_TABLE} WHERE key_time < now() - interval '${FORGET_DAYS} days' LIMIT 200 FOR UPDATE SKIP LOCKED)`

const UNIQUE_VIOLATION = '23505'
const CHECK_VIOLATION = '23514'
const NO_TABLE = '42P01'

/** What the server's error says of the key. Undefined: it is about something else. */
export function keyTrouble(error: unknown): 'taken' | 'expired' | 'no-table' | undefined {
  const { code, table, constraint } = error as { code?: string; table?: string; constraint?: string }
  if (code === UNIQUE_VIOLATION && table === KEY_TABLE) return 'taken'
  if (code === CHECK_VIOLATION && constraint === NOT_EXPIRED) return 'expired'
  return code === NO_TABLE ? 'no-table' : undefined
}

const UUID_V7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i

/** The time in a UUIDv7, in milliseconds since the epoch (RFC 9562). Null: the key has none. */
export function keyTimeOf(key: string): string | null {
  const [, high, low] = UUID_V7.exec(key) ?? []
  return high && low ? String(Number.parseInt(high + low, 16)) : null
}
