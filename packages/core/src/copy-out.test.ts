import { expect, test } from 'vitest'
import { copiesOut } from './copy-out.ts'

test.each([
  'COPY notes TO STDOUT',
  'copy public.notes (id, "Text") to stdout with (format csv, header)',
  'COPY BINARY notes TO STDOUT',
  '-- all of them\nCOPY "Notes"."of (all)" TO STDOUT;',
  'COPY (SELECT * FROM notes) TO STDOUT (FORMAT binary)',
  `COPY (SELECT ')', lower("a(") FROM notes WHERE id IN (SELECT 1)) TO STDOUT`,
  'COPY ((VALUES (1), (2))) TO STDOUT',
  'COPY (WITH a AS (SELECT 1) TABLE a) TO STDOUT',
])('only reads: %s', (text) => expect(copiesOut(text)).toBe(true))

test.each([
  'COPY notes FROM STDIN',
  "COPY notes TO '/tmp/notes'",
  "COPY notes TO PROGRAM 'cat > stdout'",
  "COPY (SELECT 1) TO PROGRAM 'cat'",
  "COPY (SELECT 1) TO '/tmp/one'",
  'COPY (INSERT INTO notes VALUES (1) RETURNING id) TO STDOUT',
  'COPY (DELETE FROM notes RETURNING *) TO STDOUT',
  'COPY (WITH gone AS (DELETE FROM notes RETURNING *) SELECT * FROM gone) TO STDOUT',
  "COPY (SELECT nextval('ids')) TO STDOUT",
  'COPY (SELECT archive(id) FROM notes) TO STDOUT',
  "COPY (SELECT 1) TO '/tmp/one' /* to stdout */",
  'COPY notes TO STDOUT; DROP TABLE notes',
  'COPY (SELECT 1); DROP TABLE notes; COPY (SELECT 1) TO STDOUT',
  'COPY notes TO STDOUTS',
  "COPY notes TO STDOUT WITH DELIMITER 'it",
  'SELECT 1',
  '',
])('is not known to only read: %s', (text) => expect(copiesOut(text)).toBe(false))
