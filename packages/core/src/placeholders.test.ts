import { expect, test } from 'vitest'
import { numberPlaceholders } from './placeholders.ts'

test.each([
  ['select 1', 'select 1'],
  ['select ?', 'select $1'],
  ['insert into a values (?, ?)', 'insert into a values ($1, $2)'],
  [`select '?', "?", ?`, `select '?', "?", $1`],
  [`select 'it''s ?', ?`, `select 'it''s ?', $1`],
  [String.raw`select e'\'?', ?`, String.raw`select e'\'?', $1`],
  [String.raw`select 'C:\', ?`, String.raw`select 'C:\', $1`],
  ['select $$ ? $$, $a$ ? $$ ? $a$, ?', 'select $$ ? $$, $a$ ? $$ ? $a$, $1'],
  ['select ? -- ?\n, ?', 'select $1 -- ?\n, $2'],
  ['select /* ? /* ? */ ? */ ?', 'select /* ? /* ? */ ? */ $1'],
  ['select a$1, ?', 'select a$1, $1'],
])('%s', (text, numbered) => {
  expect(numberPlaceholders(text)).toBe(numbered)
})

test.each(['select a ? $1 from b', `select '{"a":1}'::jsonb ?| $1`, 'select $1, ?'])('with numbers of its own: %s', (text) => {
  expect(numberPlaceholders(text)).toBe(text)
})

test.each(["select '?", 'select "?', 'select $a$ ?', 'select /* ?'])('without an end: %s', (text) => {
  expect(numberPlaceholders(text)).toBe(text)
})

test('in time that grows with the length of the text', () => {
  expect(numberPlaceholders('?'.repeat(100_000)).length).toBeGreaterThan(400_000)
})
